"""The state of a locked portfolio, and the rows that are built from it."""

import secrets
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, NamedTuple

from app.column_values import convert_instant, parse_decimal
from app.costs.rules.booked_charges import NO_CHARGES, BookedCharges
from app.costs.rules.markets import MARKETS
from app.ledger.queries.batch_statements import STATE_COLUMNS
from app.ledger.rules.accounting import Fill, Position, Side
from app.ledger.rules.cash import CashKind
from app.ledger.rules.chain import GENESIS, HASH_VERSION, TradeRow, compute_row_hash
from app.ledger.rules.keys import PortfolioKey, PositionKey
from app.ledger.rules.settings import resolve_schedule
from app.ledger.service.commands import CommandOrigin
from app.money import DIGITS, PLACES, ZERO, format_fixed
from app.timestamps import Timestamp, format_timestamp

BASE_CURRENCY = "USD"
MAX_AMOUNT = Decimal(10) ** (DIGITS - PLACES - 1)  # a tenth of a column's maximum, so that a sum of two fits


@dataclass(slots=True)
class PortfolioState:
    """A locked portfolio as the batch sees it.

    `last_created_at` is canonical text. `open_orders_version`, the column `orders_stamp`, changes when an
    open order changes or projections are repaired: see `renew_open_orders_version`. `cost_schedule` and
    `fee_totals` are as in `costs.rules.booked_charges`, the settings after them as in
    `ledger.models.Portfolio`.
    """

    id: int
    tenant_id: int
    name: str
    name_key: str
    cash: Decimal
    realized_pnl: Decimal
    total_trades: int
    total_buys: int
    last_sequence: int
    last_hash: str
    last_trade_id: str | None
    last_created_at: Timestamp | None
    kind: str
    trading_state: str
    open_orders_version: str
    base_currency: str
    cost_schedule: str
    fee_totals: str | None
    cost_schedules: str | None = None
    calendar: str | None = None
    enforce_sessions: str = "off"
    approval: str | None = None
    participation: Decimal | None = None
    slippage: Decimal | None = None
    moved_cash: Decimal = ZERO
    cash_sequence: int = 0
    cash_hash: str = GENESIS
    broker: str = "paper"
    broker_connection: str | None = None
    when_broker_down: str = "refuse"

    @property
    def key(self) -> PortfolioKey:
        """The key of the portfolio."""
        return PortfolioKey(self.tenant_id, self.id)

    def get_schedule(self, exchange: str) -> str:
        """Return the cost schedule of trades at an exchange. `exchange` may be empty."""
        market = MARKETS.get(exchange)
        return resolve_schedule(
            self.cost_schedule, self.cost_schedules, None if market is None else market.code
        )


class TradeEntry(NamedTuple):
    """The values of a ledger row that do not come from its portfolio's state. Amounts are decimals.

    `price` and `gmv` are in `currency` (None: the portfolio's own), `fx_rate` is the price of one unit of it.
    `executed_at` is None if it is the time of recording. `fee_totals` are the portfolio's after the row, None
    if they do not change.
    """

    kind: str
    symbol: str
    product: str
    side: str
    quantity: Decimal
    price: Decimal
    gmv: Decimal
    charges: Decimal
    cash_delta: Decimal
    trades: int
    buys: int
    note: str | None
    reverses: str | None
    order_id: str | None = None
    currency: str | None = None
    fx_rate: Decimal | None = None
    executed_at: Timestamp | None = None
    backdated_reason: str | None = None
    fee_totals: str | None = None


_SIDE_TEXTS = {side: side.value for side in Side}  # faster than the attribute


def build_trade_entry(
    symbol: str,
    product: str,
    fill: Fill,
    price: Decimal,
    rate: Decimal | None,
    charges: BookedCharges = NO_CHARGES,
    **fields: Any,
) -> TradeEntry:
    """Return the entry of a trade. `price` is in the currency of the fill, and `rate` converts it.

    `fields` are further fields of the entry.
    """
    return TradeEntry(
        kind="trade",
        symbol=symbol,
        product=product,
        side=_SIDE_TEXTS[fill.side],
        quantity=fill.quantity,
        price=price,
        gmv=fill.value if rate is None else fill.local_value,
        charges=charges.total,
        cash_delta=-fill.side.sign * fill.value - charges.total,
        trades=1,
        buys=1 if fill.side is Side.BUY else 0,
        reverses=None,
        currency=fill.currency,
        fx_rate=rate,
        fee_totals=charges.fee_totals,
        **fields,
    )


class CashEntry(NamedTuple):
    """The values of a cash movement. `amount` is signed; the other fields are as in `rules.cash.CashRow`."""

    kind: CashKind
    amount: Decimal
    reason: str | None = None
    counterpart_id: int | None = None
    symbol: str | None = None
    day: str | None = None


class ReversalInputs(NamedTuple):
    """The inputs of the reversal of a trade: the current position, and the position without the trade.

    `later_action` is a row of a corporate action that acted on the trade, None if there is none.
    """

    current: Position
    after: Position
    later_action: TradeRow | None


PositionsByKey = dict[PositionKey, Position]


def build_portfolio(
    portfolio_id: int,
    tenant_id: int,
    name: str,
    name_key: str,
    *,
    opening_cash: Decimal,
    trading_state: str = "ACTIVE",
) -> PortfolioState:
    """Return a new paper portfolio without trades. `opening_cash` is in its base currency."""
    return PortfolioState(
        id=portfolio_id,
        tenant_id=tenant_id,
        name=name,
        name_key=name_key,
        cash=opening_cash,
        realized_pnl=ZERO,
        total_trades=0,
        total_buys=0,
        last_sequence=0,
        last_hash=GENESIS,
        last_trade_id=None,
        last_created_at=None,
        kind="paper",
        trading_state=trading_state,
        open_orders_version="",
        base_currency=BASE_CURRENCY,
        cost_schedule="none",
        fee_totals=None,
    )


def build_portfolio_row(portfolio: PortfolioState, at: datetime) -> tuple[str | int, ...]:
    """Return the row of a portfolio that is created at `at`."""
    cash = format_fixed(portfolio.cash)
    naming = (portfolio.tenant_id, portfolio.name, portfolio.name_key)
    terms = (portfolio.base_currency, portfolio.kind)
    counters = (format_fixed(ZERO), 0, 0, 0, GENESIS)
    return (
        portfolio.id,
        *naming,
        *terms,
        cash,
        cash,
        *counters,
        format_timestamp(at),
        portfolio.trading_state,
    )


def build_trade_row(
    state: PortfolioState,
    origin: CommandOrigin,
    at: Timestamp,
    entry: TradeEntry,
    before: Position,
    after: Position,
) -> TradeRow:
    """Return the row of a trade, which continues the hash chain of its portfolio."""
    fields = (
        state.tenant_id,
        state.last_trade_id,
        state.id,
        state.last_sequence,
        entry.kind,
        entry.symbol,
        entry.product,
        entry.side,
        format_fixed(entry.quantity),
        format_fixed(entry.price),
        format_fixed(entry.gmv),
        format_fixed(entry.charges),
        format_fixed(after.realized_pnl - before.realized_pnl),
        origin.user_label,
        origin.source,
        entry.order_id,
        entry.note,
        origin.idempotency_key,
        origin.request_hash,
        entry.reverses,
        entry.executed_at or at,
        state.last_created_at,
        format_fixed(after.quantity - before.quantity),
        format_fixed(after.cost - before.cost),
        format_fixed(entry.cash_delta),
        format_fixed(after.quantity),
        format_fixed(after.cost),
        format_fixed(after.realized_pnl),
        state.total_trades,
        state.total_buys,
        format_fixed(state.realized_pnl),
        format_fixed(state.cash),
        origin.actor,
        origin.request_id,
        *(_NOT_LOCAL if entry.fx_rate is None else _build_local_amounts(entry, entry.fx_rate, before, after)),
        entry.backdated_reason,
        HASH_VERSION,
    )
    return TradeRow._make((*fields, compute_row_hash(fields, state.last_hash)))


_NOT_LOCAL = (None, None, None, None)


def _build_local_amounts(
    entry: TradeEntry, fx_rate: Decimal, before: Position, after: Position
) -> tuple[str | None, ...]:
    delta = after.local_cost - before.local_cost
    return (entry.currency, format_fixed(fx_rate), format_fixed(delta), format_fixed(after.local_cost))


# The column names, but for the version of the open orders.
_STATE_FIELDS = tuple("open_orders_version" if name == "orders_stamp" else name for name in STATE_COLUMNS)


def build_state(row: tuple[Any, ...]) -> PortfolioState:
    """Return the state of a `STATE_COLUMNS` row. PostgreSQL returns decimals and datetimes, SQLite text."""
    values = dict(zip(_STATE_FIELDS, row, strict=True))
    for name in ("cash", "realized_pnl", "moved_cash", "participation", "slippage"):
        values[name] = parse_decimal(values[name])
    values["last_created_at"] = convert_instant(values["last_created_at"])
    return PortfolioState(**values)


_REPAIR_VERSION_LENGTH = 6
_FIRST_REPAIR_VERSION = "A" * _REPAIR_VERSION_LENGTH  # of portfolios that had no open orders yet


def create_open_orders_version() -> str:
    """Return a version of open orders with a new repair version."""
    return secrets.token_urlsafe(12)  # 16 characters


def renew_open_orders_version(version: str) -> str:
    """Return a new version of open orders with the same repair version."""
    return get_repair_version(version) + secrets.token_urlsafe(8)[:10]


def get_repair_version(version: str) -> str:
    """Return the part of a version of open orders that changes only when rows are repaired."""
    return version[:_REPAIR_VERSION_LENGTH] or _FIRST_REPAIR_VERSION
