"""Process batches of trades and orders. One batch is one transaction, and its commands run in order."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import cast

import orjson
from sqlalchemy import Connection

from app.database import set_tenant_scope
from app.errors import OmsError
from app.group_commit import BatchResult, CommitCheck, RetainedState
from app.instruments.rules import InstrumentKey
from app.ledger.rules.ledger_state import REVERSAL
from app.ledger.service import batch_handler as ledger
from app.ledger.service.batch_handler import LedgerBatchHandler, record_commands
from app.ledger.service.commands import LedgerCommand, RecordedTrade
from app.market_data.queries import build_quote_writes, load_quotes
from app.market_data.rules.values import Quote
from app.metrics import Metrics
from app.orders.queries.orders import is_event_recorded
from app.orders.rules.values import Status
from app.orders.service.batch_state.batch_context import BatchContext, BatchServices
from app.orders.service.batch_state.order_store import OrderStore
from app.orders.service.batch_state.portfolio_loading import create_cache_update
from app.orders.service.command_results import Outcome
from app.orders.service.commands import WriterCommand, get_time
from app.orders.service.execution.exit_reduction import reduce_exits_after_trades
from app.orders.service.internal_commands import MatchQuote
from app.orders.service.market_events.quote_processing import match_before_trades
from app.orders.service.write_path.batch_loading import load_batch
from app.orders.service.write_path.command_dispatch import dispatch_all


class OrderBatchHandler:
    """Handler of group commit for the ledger and the orders. One instance belongs to one writer thread."""

    def __init__(self, ledger_handler: LedgerBatchHandler, services: BatchServices) -> None:
        self._ledger_handler = ledger_handler
        self._services = services

    def handle(
        self, connection: Connection, commands: Sequence[WriterCommand], retained: RetainedState
    ) -> BatchResult[Outcome]:
        """Process the commands in order; see `group_commit.BatchHandler`.

        `retained` holds the rate-limit counts of each command, so that a retry does not count twice.
        """
        try:
            if all(isinstance(command, LedgerCommand) for command in commands):
                result = self._record_trades(connection, cast("Sequence[LedgerCommand]", commands))
                return cast("BatchResult[Outcome]", result)
            return self._process_batch(connection, commands, retained)
        except Exception:
            self._ledger_handler.clear_caches()
            raise

    def _record_trades(
        self, connection: Connection, commands: Sequence[LedgerCommand]
    ) -> BatchResult[RecordedTrade]:
        """Process a batch that has only trades, which needs neither quotes nor risk checks."""
        batch = self._ledger_handler.load(connection, commands)
        match_before_trades(self._services, batch, max(map(get_time, commands)))
        result = record_commands(batch, commands)
        update_caches = reduce_exits_after_trades(self._services, batch, result.outcomes)

        def run_after_commit() -> None:
            result.on_commit()
            update_caches()
            count_trades(self._services.metrics, result.outcomes)

        return replace(result, on_commit=run_after_commit)

    def _process_batch(
        self, connection: Connection, commands: Sequence[WriterCommand], message_counts: dict[int, int]
    ) -> BatchResult[Outcome]:
        """Load the state, decide on the commands, and write their changes."""
        # The keys of `message_counts`. Take them now, because `load_batch` replaces commands.
        command_ids = [id(command) for command in commands]
        context, commands = load_batch(
            self._ledger_handler, self._services, connection, commands, message_counts
        )
        outcomes = dispatch_all(context, commands, command_ids)
        arrived_quotes = [
            (command.tenant_id, command.quote)
            for command, outcome in zip(commands, outcomes, strict=True)
            if isinstance(command, MatchQuote) and command.is_new and not isinstance(outcome, OmsError)
        ]
        if arrived_quotes:
            context.extra_writes += build_quote_writes(arrived_quotes, context.loaded.deferred_quote_times)
        context.extra_writes += context.signals.build_writes() if context.signals else []
        is_recorded = build_commit_check(context, outcomes, arrived_quotes)
        context.flush()
        return BatchResult(outcomes, is_recorded, on_commit=self._create_commit_action(context, outcomes))

    def _create_commit_action(self, context: BatchContext, outcomes: Sequence[object]) -> Callable[[], None]:
        """Return the action after the commit: cache the state, wake sessions, and count the changes."""
        update_caches = create_cache_update(context)

        def run_after_commit() -> None:
            update_caches()
            if context.has_broker_requests:
                self._services.broker_notifier.notify()
            if context.committed_orders:
                self._services.broker_notifier.deliver(context.committed_orders)
            count_changes(self._services.metrics, context.order_store)
            count_trades(self._services.metrics, outcomes)
            if context.signals:
                context.signals.count_committed()

        return run_after_commit


def build_commit_check(
    context: BatchContext, outcomes: Sequence[object], arrived: Sequence[tuple[int, Quote]]
) -> CommitCheck:
    """Return a function that checks whether the batch was committed.

    It looks for one row that the batch wrote: a row of an order's history, else a trade, else a signal, else
    a quote.
    `arrived` are the stored quotes (tenant id, quote).
    """
    if context.order_store.events:
        event = context.order_store.events[-1]
        return lambda connection: is_event_recorded(set_tenant_scope(connection, [event.tenant_id]), event)
    trade_check = ledger.build_commit_check(outcomes)
    if trade_check is not None:
        return trade_check
    signal_check = context.signals.build_commit_check() if context.signals else None
    if signal_check is not None:
        return signal_check
    if arrived:
        tenant_id, quote = arrived[-1]
        return lambda connection: _is_stored(set_tenant_scope(connection, [tenant_id]), tenant_id, quote)
    return lambda _: True  # nothing was written that an outcome depends on


def _is_stored(connection: Connection, tenant_id: int, quote: Quote) -> bool:
    """Return whether the quote, or a newer one, is stored."""
    key = InstrumentKey(tenant_id, quote.symbol)
    stored_quote = load_quotes(connection, [key]).get(key)
    return stored_quote is not None and (stored_quote == quote or stored_quote.at > quote.at)


def count_changes(metrics: Metrics | None, order_store: OrderStore) -> None:
    """Count the changed orders by type and status, the fills, and the denials by code."""
    if metrics is None:
        return
    for order in order_store.changed:
        metrics.orders.count_order(order.type, order.status)
        if order.status is Status.DENIED and order.denial:
            metrics.orders.count_denial(orjson.loads(order.denial)["code"])
    metrics.orders.count_fills(len(order_store.executions))


def count_trades(metrics: Metrics | None, outcomes: Iterable[object]) -> None:
    """Count the trades of a batch that were reported without an order, and the reversals."""
    if metrics is None:
        return
    rows = [
        outcome.row for outcome in outcomes if isinstance(outcome, RecordedTrade) and not outcome.is_replayed
    ]
    reversals = sum(row.kind == REVERSAL for row in rows)
    metrics.orders.count_trades("reversal", reversals)
    metrics.orders.count_trades("trade", len(rows) - reversals)
