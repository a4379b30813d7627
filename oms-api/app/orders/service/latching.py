"""Counting what strategies and keys execute by themselves, and stopping who executes too often."""

from datetime import datetime

from app.audit.service import AuditEntry, veiled
from app.clock import iso
from app.orders.queries.book import executed_by
from app.orders.rules.families import EXITS
from app.orders.rules.values import Order
from app.orders.service.scene import Scene
from app.risk.queries import latches as queries
from app.risk.rules.latches import WINDOW, Holder, Latch, holders_of
from app.risk.service.trails import RISK, latch_facts


def latch_of(scene: Scene, order: Order) -> Latch | None:
    """Return the latch that stands against the order."""
    if not scene.latched and not scene.tools.controls.has_latches(order.tenant_id):
        return None  # most orders
    tenant_id, controls = order.tenant_id, scene.tools.controls
    found = (
        scene.latched.get((tenant_id, holder)) or controls.latch(tenant_id, holder)
        for holder in holders_for(order)
    )
    return next(filter(None, found), None)


def holders_for(order: Order) -> list[Holder]:
    """Return who places the order by itself, first for whom it counts. The exits of a bracket take a position
    off that was let in: they are neither counted nor stopped.
    """
    if order.role in EXITS:
        return []
    return holders_of(order.symbol, order.strategy, order.source, order.actor)


def count_execution(scene: Scene, order: Order, most: int, at: str) -> None:
    """Count an order that executed, once, and latch who placed it by itself where `most` did in a minute;
    zero is no limit. What executes while a latch stands changes nothing.
    """
    holders = holders_for(order)
    if not most or not holders or latch_of(scene, order) is not None:
        return
    holder = holders[0]
    key = (order.tenant_id, holder)
    if key not in scene.repeats:
        scene.repeats[key] = _executed(scene, order.tenant_id, holder, at)
    scene.repeats[key].add(order.id)
    if len(scene.repeats[key]) >= most:
        _set(scene, key, most, at)


def _executed(scene: Scene, tenant_id: int, holder: Holder, at: str) -> set[str]:
    """Return the orders that executed within the last minute, and after a person let the holder go on."""
    since = iso(datetime.fromisoformat(at) - WINDOW)
    released = queries.released_at(scene.connection, tenant_id, holder)
    return executed_by(scene.connection, tenant_id, holder, max(since, released or since))


def _set(scene: Scene, key: tuple[int, Holder], most: int, at: str) -> None:
    tenant_id, holder = key
    latch_id = scene.tools.latch_ids.next(tenant_id, datetime.fromisoformat(at))
    latch = Latch(latch_id, holder, len(scene.repeats.pop(key)), most, at)
    if not queries.set_latch(scene.connection, tenant_id, latch):  # another process was faster
        latch = queries.standing_latches(scene.connection, [tenant_id])[tenant_id].get(holder, latch)
        scene.latched[key] = latch
        return
    scene.latched[key] = latch
    scene.tools.controls.forget(tenant_id)
    facts = latch_facts(latch)
    scene.blotter.tell(tenant_id, "latch.set", {"latch_id": latch.id, **facts}, at)
    instant = datetime.fromisoformat(at)
    entry = AuditEntry(tenant_id, instant, RISK, RISK, "latch.set", latch.id, after=veiled({**facts}))
    scene.entries.append(entry)
