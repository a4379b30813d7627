"""Process batches of trades and orders. One batch is one transaction, and its commands run in order."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import cast

from sqlalchemy import Connection

from app.errors import OmsError
from app.group_commit import BatchResult, Retained
from app.ledger.service.commands import Command as LedgerCommand
from app.ledger.service.commands import RecordedTrade
from app.ledger.service.recording import LedgerBatchHandler, record_all
from app.market_data.queries import build_quote_writes
from app.orders.service.batch_context import BatchContext, BatchServices
from app.orders.service.batch_loading import load_batch
from app.orders.service.command_execution import execute_all
from app.orders.service.command_results import Outcome
from app.orders.service.commands import Command, get_time
from app.orders.service.internal_commands import QuoteArrived
from app.orders.service.lost_commit import build_commit_check
from app.orders.service.order_metrics import count_changes, count_trades
from app.orders.service.portfolio_loading import create_cache_update
from app.orders.service.quote_processing import match_before_trades
from app.orders.service.trade_effects import apply_trades_to_orders


class OrderBatchHandler:
    """Handler of group commit for the ledger and the orders. One instance belongs to one writer thread."""

    def __init__(self, ledger_handler: LedgerBatchHandler, services: BatchServices) -> None:
        self._ledger_handler = ledger_handler
        self._services = services

    def handle(
        self, connection: Connection, commands: Sequence[Command], retained: Retained
    ) -> BatchResult[Outcome]:
        """Process the commands in order; see `group_commit.Handler`.

        `retained` holds the rate-limit counts of each command, so that a retry does not count twice."""
        try:
            if all(isinstance(command, LedgerCommand) for command in commands):
                recorded = self._record_trades(connection, cast("Sequence[LedgerCommand]", commands))
                return cast("BatchResult[Outcome]", recorded)
            return self._process_batch(connection, commands, retained)
        except Exception:
            self._ledger_handler.forget()
            raise

    def _record_trades(
        self, connection: Connection, commands: Sequence[LedgerCommand]
    ) -> BatchResult[RecordedTrade]:
        """Process a batch that has only trades, which needs neither quotes nor risk checks."""
        batch = self._ledger_handler.batch(connection, commands)
        batch.load()
        match_before_trades(self._services, batch, max(map(get_time, commands)))
        result = record_all(batch, commands)
        update_caches = apply_trades_to_orders(self._services, batch, result.outcomes)

        def run_after_commit() -> None:
            update_caches()
            count_trades(self._services.metrics, result.outcomes)

        return replace(result, on_commit=run_after_commit)

    def _process_batch(
        self, connection: Connection, commands: Sequence[Command], rate_counts: dict[int, int]
    ) -> BatchResult[Outcome]:
        """Load the state, decide on the commands, and write what they changed."""
        identities = [id(command) for command in commands]  # by which `rate_counts` counts
        context, commands = load_batch(
            self._ledger_handler, self._services, connection, commands, rate_counts
        )
        outcomes = execute_all(context, commands, identities)
        arrived_quotes = [
            (command.tenant_id, command.quote)
            for command, outcome in zip(commands, outcomes, strict=True)
            if isinstance(command, QuoteArrived) and command.is_new and not isinstance(outcome, OmsError)
        ]
        context.writes += build_quote_writes(arrived_quotes, context.plan.unmatched) if arrived_quotes else []
        context.writes += context.signals.list_writes() if context.signals else []
        is_recorded = build_commit_check(context, outcomes, arrived_quotes)
        context.flush()
        return BatchResult(outcomes, is_recorded, on_commit=self._create_commit_action(context, outcomes))

    def _create_commit_action(self, context: BatchContext, outcomes: Sequence[object]) -> Callable[[], None]:
        """Return what follows the commit: cache the written state, wake sessions, and count the changes."""
        update_caches = create_cache_update(context)

        def run_after_commit() -> None:
            update_caches()
            if context.has_requests:
                self._services.broker_notifier.notify()
            if context.committed_orders:
                self._services.broker_notifier.deliver(context.committed_orders)
            count_changes(self._services.metrics, context.order_store)
            count_trades(self._services.metrics, outcomes)
            if context.signals:
                context.signals.count_committed()

        return run_after_commit
