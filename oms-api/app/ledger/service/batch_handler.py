"""Process batches of trades and reversals in the writer's transaction."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from decimal import Decimal
from functools import partial

from sqlalchemy import Connection

from app.costs.rules.booked_charges import NO_CHARGES, BookedCharges, ChargedTrade, compute_booked_charges
from app.costs.rules.values import ChargedExecution, OrderTotals, Schedule
from app.costs.service import load_rates
from app.database import set_tenant_scope
from app.errors import OmsError
from app.group_commit import BatchResult, CommitCheck, RetainedState
from app.ids import SortableIds
from app.ledger.errors import (
    AlreadyReversed,
    ExecutedBeforePrevious,
    FilledAtBroker,
    KeyReused,
    MixesCurrencies,
    NoSuchTrade,
    NotPermitted,
    ReversalOfReversal,
    TradingHalted,
)
from app.ledger.queries import batch_statements as queries
from app.ledger.rules.accounting import Position, apply_fill, build_fill, compute_closed_quantity
from app.ledger.rules.chain import TradeRow
from app.ledger.rules.keys import PortfolioKey, PortfolioNameKey, PositionKey, RequestKey, TradeKey
from app.ledger.rules.ledger_state import REVERSAL
from app.ledger.service.batch import LedgerBatch, RateLookup, get_no_rate
from app.ledger.service.command_loading import build_request_key, load_commands
from app.ledger.service.commands import LedgerCommand, RecordedTrade, RecordTrade, ReverseTrade
from app.ledger.service.dp_charges import book_dp_charge
from app.ledger.service.ledger_cache import LedgerCache
from app.ledger.service.portfolio_state import PortfolioState, build_trade_entry
from app.ledger.service.reversals import build_reversal_entry, get_reversal_inputs, require_no_action
from app.ledger.service.trade_guard import UNGUARDED, Guard
from app.money import ZERO
from app.timestamps import format_timestamp

ACTIVE, HALTED = "ACTIVE", "HALTED"  # between them: REDUCING


class LedgerBatchHandler:
    """Handler of group commit for the ledger. One instance belongs to one writer thread."""

    def __init__(
        self, ids: SortableIds | None = None, guard: Guard = UNGUARDED, rates: RateLookup = get_no_rate
    ) -> None:
        self._ids = ids or SortableIds()
        self._rates = rates
        self._guard = guard
        self._portfolio_ids: dict[PortfolioNameKey, int] = {}
        self._cache = LedgerCache()

    def handle(
        self, connection: Connection, commands: Sequence[LedgerCommand], _: RetainedState | None = None
    ) -> BatchResult[RecordedTrade]:
        """Record and reverse trades in order; see `group_commit.BatchHandler`."""
        try:
            batch = self.load(connection, commands)
            return record_commands(batch, commands)
        except Exception:
            self.clear_caches()
            raise

    def load(
        self,
        connection: Connection,
        commands: Sequence[LedgerCommand],
        names: Iterable[PortfolioNameKey] = (),
        portfolio_keys: Iterable[PortfolioKey] = (),
        tenants: Iterable[int] = (),
    ) -> LedgerBatch:
        """Lock and load the state that `commands` need, and further portfolios, and return the batch."""
        batch = LedgerBatch(connection, self._ids, self._guard, self._rates, self._cache)
        set_tenant_scope(connection, {command.origin.tenant_id for command in commands}.union(tenants))
        load_commands(batch, commands, self._portfolio_ids, names, portfolio_keys)
        return batch

    def clear_caches(self) -> None:
        """Clear the caches, because a restored database may have other ids."""
        self._portfolio_ids.clear()
        self._cache.clear()


def record_commands(batch: LedgerBatch, commands: Sequence[LedgerCommand]) -> BatchResult[RecordedTrade]:
    """Record and reverse the trades of a loaded batch in order, and write them."""
    outcomes = [record_command(batch, command) for command in commands]
    batch.flush()
    return BatchResult(
        outcomes,
        build_commit_check(outcomes) or (lambda _: True),
        partial(_is_repeated, outcomes),
        batch.create_cache_update(),
    )


def _is_repeated(outcomes: Iterable[object], outcome: RecordedTrade) -> bool:
    """Return whether an earlier batch recorded the trade of the outcome."""
    earlier_rows = (
        outcome.row for outcome in outcomes if isinstance(outcome, RecordedTrade) and not outcome.is_replayed
    )
    return outcome.is_replayed and outcome.row not in earlier_rows


def build_commit_check(outcomes: Iterable[object]) -> CommitCheck | None:
    """Return a function that looks for a recorded trade of the batch, None if there is none."""
    for outcome in outcomes:
        if isinstance(outcome, RecordedTrade) and not outcome.is_replayed:
            trade = outcome.row.trade_key
            return lambda connection: bool(
                queries.load_trades(set_tenant_scope(connection, [trade.tenant_id]), [trade])
            )
    return None


def record_command(batch: LedgerBatch, command: LedgerCommand) -> RecordedTrade | OmsError:
    """Return the outcome of one command, or the error that refuses it.

    An error after a change is raised, because the transaction must be rolled back: the writer then retries
    the other commands.
    """
    change_count, key = batch.change_count, build_request_key(command)
    try:
        repeated = _find_repeated(batch, command, key)
        if repeated:
            return repeated
        recorded_trade = (
            _record_trade(batch, command)
            if isinstance(command, RecordTrade)
            else _reverse_trade(batch, command)
        )
    except OmsError as error:
        if batch.change_count != change_count:
            raise
        return error
    if key:
        batch.rows_by_request_key.setdefault(key, []).append(recorded_trade.row)
    return recorded_trade


def _find_repeated(
    batch: LedgerBatch, command: LedgerCommand, key: RequestKey | None
) -> RecordedTrade | None:
    rows = batch.rows_by_request_key.get(key, []) if key else []
    visible = [row for row in rows if _can_see(batch, command, row)]  # keys of other portfolios stay hidden
    if not visible:
        return None
    rows_of_request = [row for row in visible if row.request_hash == command.origin.request_hash]
    if not rows_of_request:
        raise KeyReused(visible[0].idempotency_key or "")
    oldest = min(rows_of_request, key=lambda row: row.trade_id)
    portfolio = batch.get_portfolio(oldest.portfolio_key)
    return RecordedTrade(oldest, portfolio.name, is_replayed=True)


def _can_see(batch: LedgerBatch, command: LedgerCommand, row: TradeRow) -> bool:
    """Return whether the caller may see the portfolio of a recorded row."""
    names = command.origin.portfolios
    return names is None or batch.get_portfolio(row.portfolio_key).name_key in names


def _record_trade(batch: LedgerBatch, command: RecordTrade) -> RecordedTrade:
    portfolio = batch.get_portfolio_by_name(command.origin.tenant_id, command.portfolio_name_key)
    symbol = batch.get_symbol(portfolio.tenant_id, command.symbol)
    if symbol != command.symbol:
        command = command._replace(symbol=symbol)
    key = PositionKey(portfolio.tenant_id, portfolio.id, symbol, command.product)
    position = batch.get_position(key)
    reason = batch.guard.find_refusal(command, portfolio)
    if reason is not None:
        raise NotPermitted(reason)
    _require_execution_order(command, position)
    if portfolio.trading_state != ACTIVE:
        require_trading_allowed(batch, portfolio, position, command)
    currency = batch.get_currency(portfolio, key)
    rate = None if currency is None else batch.get_rate(command, currency, portfolio.base_currency)
    trade, at = command.trade, command.executed_at or format_timestamp(command.origin.at)
    fill = build_fill(command.side, trade.quantity, trade.gmv, currency, rate, at)
    charged = _build_charged_trade(batch, command, portfolio, currency, rate)
    charges = _compute_charges(command, portfolio, charged)
    entry = build_trade_entry(
        symbol,
        command.product,
        fill,
        trade.price,
        rate,
        charges,
        note=command.note,
        executed_at=command.executed_at,
        backdated_reason=command.backdated_reason,
    )
    row = batch.append(portfolio, command.origin, entry, apply_fill(position, fill))
    if charged is not None:
        book_dp_charge(batch, portfolio, command.origin, command.symbol, charged, position)
    return RecordedTrade(row, portfolio.name)


def _require_execution_order(command: RecordTrade, position: Position) -> None:
    """Raise ExecutedBeforePrevious where the report's own execution time is before the latest trade's."""
    latest = position.last_executed_at
    if command.executed_at is None or command.backdated_reason is not None or latest is None:
        return
    if command.executed_at < latest:
        raise ExecutedBeforePrevious(f"{command.field_prefix}executed_at", latest)


def _build_charged_trade(
    batch: LedgerBatch,
    command: RecordTrade,
    portfolio: PortfolioState,
    currency: str | None,
    rate: Decimal | None,
) -> ChargedTrade | None:
    """Return the inputs of the trade's charges, None if its schedule does not compute them."""
    if command.charges is not None:
        return None
    exchange = batch.get_exchange(portfolio.tenant_id, command.symbol)
    schedule = portfolio.get_schedule(exchange)
    if schedule == Schedule.NONE:
        return None
    return ChargedTrade(
        schedule=schedule,
        exchange=exchange,
        product=command.product,
        side=command.side.value,
        execution=ChargedExecution(command.trade.quantity, command.trade.gmv),
        currency=currency or portfolio.base_currency,
        rate=rate,
        at=command.origin.at if command.executed_at is None else datetime.fromisoformat(command.executed_at),
    )


def _compute_charges(
    command: RecordTrade, portfolio: PortfolioState, trade: ChargedTrade | None
) -> BookedCharges:
    """Return the reported charges, else the charges by the portfolio's schedule. Raises RateUnknown."""
    if command.charges is not None:
        return BookedCharges(command.charges)
    if trade is None:
        return NO_CHARGES
    return compute_booked_charges(trade, OrderTotals(), portfolio.fee_totals, load_rates())


def require_trading_allowed(
    batch: LedgerBatch, portfolio: PortfolioState, position: Position, command: RecordTrade
) -> None:
    """Raise TradingHalted unless the trading state allows the trade.

    While REDUCING, a trade may only close the position, and only the quantity that other working orders do
    not close already. Exits do not count, because the trade reduces them.
    """
    quantity, closable_quantity = command.trade.quantity, ZERO
    if portfolio.trading_state != HALTED:
        closable_quantity = compute_closed_quantity(position.quantity, command.side.sign * quantity)
        if closable_quantity == quantity:
            free_quantity = abs(position.quantity) - batch.get_reserved_quantity(
                portfolio, command, position.quantity
            )
            closable_quantity = min(closable_quantity, max(free_quantity, ZERO))
    if closable_quantity < quantity:
        # A command of this batch may have switched the portfolio itself.
        scope = batch.switch_scopes.get(portfolio.key, "portfolio")
        raise TradingHalted(portfolio.name, portfolio.trading_state, scope)


def _reverse_trade(batch: LedgerBatch, command: ReverseTrade) -> RecordedTrade:
    key = TradeKey(command.origin.tenant_id, command.trade_id)
    original = batch.originals.get(key)
    if original is None or not _can_see(batch, command, original):
        raise NoSuchTrade(command.trade_id)
    if original.kind == REVERSAL:
        raise ReversalOfReversal(command.trade_id)
    if key in batch.reversals:
        raise AlreadyReversed(command.trade_id, batch.reversals[key])
    if original.order_id is not None and batch.get_portfolio(original.portfolio_key).broker_connection:
        raise FilledAtBroker(command.trade_id, original.order_id)
    reversal = _append_reversal(batch, command, original)
    batch.reversals[key] = reversal.row.trade_id
    return reversal


def _append_reversal(batch: LedgerBatch, command: ReverseTrade, original: TradeRow) -> RecordedTrade:
    inputs = get_reversal_inputs(batch, original)
    require_no_action(original, inputs)
    portfolio = batch.get_portfolio(original.portfolio_key)
    positions = (inputs.current, inputs.after)
    if any(position.quantity and position.currency != original.currency for position in positions):
        raise MixesCurrencies(original.trade_id)
    entry = build_reversal_entry(original, command.reason)
    return RecordedTrade(batch.append(portfolio, command.origin, entry, inputs.after), portfolio.name)
