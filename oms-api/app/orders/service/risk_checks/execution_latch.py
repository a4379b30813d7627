"""Count the automatic executions of a strategy or an API key, and stop it if it executes too often."""

from datetime import datetime

from app.audit.service import AuditEntry, mask_secrets
from app.orders.queries.executions import load_executed_order_ids
from app.orders.rules.contingency import EXIT_ROLES
from app.orders.rules.values import Order
from app.orders.service.batch_state.batch_context import BatchContext
from app.risk.queries import latches as queries
from app.risk.rules.latches import EXECUTION_WINDOW, Latch, LatchSubject, list_latch_subjects
from app.risk.service.audit_entries import RISK, serialize_latch_values
from app.timestamps import Timestamp, format_timestamp


def find_latch(context: BatchContext, order: Order) -> Latch | None:
    """Return the latch that blocks the order, None if there is none."""
    if not context.new_latches and not context.services.controls.has_latches(order.tenant_id):
        return None  # the fast path
    tenant_id, controls = order.tenant_id, context.services.controls
    latches = (
        context.new_latches.get((tenant_id, subject)) or controls.find_latch(tenant_id, subject)
        for subject in list_order_subjects(order)
    )
    return next(filter(None, latches), None)


def list_order_subjects(order: Order) -> list[LatchSubject]:
    """Return who placed the order automatically; executions count for the first one.

    Bracket exits close a position that was allowed to open. They are neither counted nor stopped.
    """
    if order.role in EXIT_ROLES:
        return []
    return list_latch_subjects(order.symbol, order.strategy, order.source, order.actor)


def count_execution(context: BatchContext, order: Order, most: int, at: Timestamp) -> None:
    """Count an executed order once, and set a latch if `most` orders executed within a minute.

    Zero is no limit. While a latch is set nothing is counted.
    """
    subjects = list_order_subjects(order)
    if not most or not subjects or find_latch(context, order) is not None:
        return
    subject = subjects[0]
    key = (order.tenant_id, subject)
    load_execution_count(context, key)
    context.loaded.recent_executions[key].add(order.id)
    if len(context.loaded.recent_executions[key]) >= most:
        _set_latch(context, key, most, at)


def load_execution_count(context: BatchContext, key: tuple[int, LatchSubject]) -> None:
    """Load the orders that a subject executed in the last minute, after the last release of its latch."""
    if key not in context.loaded.recent_executions and context.services.controls.counts_executions(key[0]):
        since = format_timestamp(context.now - EXECUTION_WINDOW)
        release_time = queries.find_release_time(context.connection, *key)
        executed_order_ids = load_executed_order_ids(
            context.connection, *key, max(since, release_time or since)
        )
        context.loaded.recent_executions[key] = executed_order_ids


def _set_latch(context: BatchContext, key: tuple[int, LatchSubject], most: int, at: Timestamp) -> None:
    tenant_id, subject = key
    latch_id = context.services.latch_ids.generate(tenant_id, datetime.fromisoformat(at))
    latch = Latch(latch_id, subject, len(context.loaded.recent_executions.pop(key)), most, at)
    # The insert fails if another process sets a latch meanwhile. The writer then tries the batch again.
    context.extra_writes.append(queries.build_latch_insert(tenant_id, latch))
    context.new_latches[key] = latch
    context.services.controls.invalidate(tenant_id)
    values = serialize_latch_values(latch)
    context.order_store.add_event(tenant_id, "latch.set", {"latch_id": latch.id, **values}, at)
    instant = datetime.fromisoformat(at)
    entry = AuditEntry(tenant_id, instant, RISK, RISK, "latch.set", latch.id, after=mask_secrets({**values}))
    context.audit_entries.append(entry)
