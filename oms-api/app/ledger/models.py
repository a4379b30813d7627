"""Define the tables of the ledger. The constraints repeat the rules, as the last line of defense."""

from datetime import datetime
from decimal import Decimal

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    String,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from app.database import Amount, Base, Instant, Serial, build_partial_index
from app.instruments.models import SymbolText
from app.ledger.rules.chain import GENESIS
from app.money import ZERO, format_fixed

NO_AMOUNT = format_fixed(ZERO)
_IS_REVERSAL = text("reverses IS NOT NULL")
_HAS_ACTOR = text("actor IS NOT NULL")
_IS_DAILY = text("kind IN ('interest', 'borrow')")
_IS_CONNECTED = text("broker_connection IS NOT NULL")
_IS_ACTION = text("kind IN ('split', 'transfer')")
CURRENCY_IS_WHOLE = (
    "CASE WHEN currency IS NULL THEN coalesce(fx_rate, local_cost_delta, position_local_cost) IS NULL "
    "ELSE CAST(fx_rate AS NUMERIC) > 0 AND local_cost_delta IS NOT NULL "
    "AND position_local_cost IS NOT NULL END"
)
_POSITIVE = "CAST({0} AS NUMERIC) > 0"


def _build_portfolio_key() -> ForeignKeyConstraint:
    """Return the foreign key that keeps a row in a portfolio of its own tenant."""
    return ForeignKeyConstraint(["tenant_id", "portfolio_id"], ["portfolios.tenant_id", "portfolios.id"])


class Portfolio(Base):
    """A portfolio with the projections of its ledger.

    These are cash, counters, and the last row's sequence, id and hash. `orders_stamp` changes when an order
    of the portfolio changes or its projections are rebuilt. With `last_hash` it is the version of the state
    that processes cache. `trading_state` is set by kill switches. `cost_schedule` defines the charges of its
    later orders and trades. `fee_totals` are the totals from which the US fees of its last New York day are
    computed (see `costs.rules.booked_charges`).

    The settings, null where none is set:

    - `cost_schedules`: JSON object of schedules by market, `{"IN": "zerodha", "US": "us_equity"}`. It
      replaces `cost_schedule`.
    - `calendar`: the market code whose calendar is the portfolio's: XNYS, XNSE, XBOM or CRYPTO.
    - `enforce_sessions`: "off", "hold" (orders wait for the open) or "deny". The API says false for "off",
      and true means "hold".
    - `approval`: JSON object `{"mode": "always" | "above_value" | "above_equity_share" | "instruments",
      "value": "50000" | null, "instruments": ["TSLA"] or [], "approvers": ["role:risk", "slack:T1:U1"],
      "expires_minutes": 30, "max_move_percent": "1"}`. `value` is in the portfolio's currency, or the
      share of its equity in percent.
    - `participation`: the share of a bar's or quote's size that its orders fill at most; 0.1 is 10%.
    - `slippage`: how much worse than the quote its market orders fill, in basis points.
    - `broker` and `broker_connection`: where its orders go, and the name of the connection, null for the
      paper market. A connection serves one portfolio. `kind` is "live" for a live account.
    - `when_broker_down`: "refuse" or "hold" (new orders wait until the connection is back).
    - `carry_rates`: JSON list of yearly rates of interest and borrow fees in percent, `[{"kind": "interest" |
      "margin" | "borrow", "from": "2026-01-01", "percent": "6.5", "currency": "USD" | null}]`.

    `accrued_until` is the close up to which interest and borrow fees are booked, null before the first.

    `cash_sequence` and `cash_hash` are the last row's of its cash ledger. `moved_cash` is the sum of the rows
    that are not charges.
    """

    __tablename__ = "portfolios"
    __table_args__ = (
        UniqueConstraint("tenant_id", "name_key"),
        UniqueConstraint("tenant_id", "id"),
        build_partial_index(
            "uq_portfolios_broker_connection", _IS_CONNECTED, "tenant_id", "broker_connection", unique=True
        ),
        CheckConstraint("kind IN ('paper', 'live')", name="kind_is_known"),
        CheckConstraint("total_buys >= 0 AND total_trades >= total_buys", name="counters_add_up"),
        CheckConstraint("last_sequence >= total_trades", name="sequence_covers_trades"),
        CheckConstraint("trading_state IN ('ACTIVE', 'REDUCING', 'HALTED')", name="trading_state_is_known"),
    )

    id: Mapped[int] = mapped_column(Serial, primary_key=True, autoincrement=True)
    tenant_id: Mapped[int] = mapped_column(Integer, ForeignKey("tenants.id"))
    name: Mapped[str] = mapped_column(String(100))
    name_key: Mapped[str] = mapped_column(String(300))
    base_currency: Mapped[str] = mapped_column(String(3))
    kind: Mapped[str] = mapped_column(String(5))
    opening_cash: Mapped[Decimal] = mapped_column(Amount)
    cash: Mapped[Decimal] = mapped_column(Amount)
    realized_pnl: Mapped[Decimal] = mapped_column(Amount)
    total_trades: Mapped[int] = mapped_column(BigInteger)
    total_buys: Mapped[int] = mapped_column(BigInteger)
    last_sequence: Mapped[int] = mapped_column(BigInteger)
    last_hash: Mapped[str] = mapped_column(String(64))
    last_trade_id: Mapped[str | None] = mapped_column(String(32))
    last_created_at: Mapped[datetime | None] = mapped_column(Instant)
    created_at: Mapped[datetime] = mapped_column(Instant)
    trading_state: Mapped[str] = mapped_column(String(8), server_default="ACTIVE")
    orders_stamp: Mapped[str] = mapped_column(String(16), server_default="")
    cost_schedule: Mapped[str] = mapped_column(String(20), server_default="none")
    fee_totals: Mapped[str | None] = mapped_column(Text)
    cost_schedules: Mapped[str | None] = mapped_column(Text)
    calendar: Mapped[str | None] = mapped_column(String(10))
    enforce_sessions: Mapped[str] = mapped_column(String(4), server_default="off")
    approval: Mapped[str | None] = mapped_column(Text)
    participation: Mapped[Decimal | None] = mapped_column(Amount)
    slippage: Mapped[Decimal | None] = mapped_column(Amount)
    carry_rates: Mapped[str | None] = mapped_column(Text)
    accrued_until: Mapped[datetime | None] = mapped_column(Instant)
    broker: Mapped[str] = mapped_column(String(20), server_default="paper")
    broker_connection: Mapped[str | None] = mapped_column(String(60))
    when_broker_down: Mapped[str] = mapped_column(String(6), server_default="refuse")
    moved_cash: Mapped[Decimal] = mapped_column(Amount, server_default=NO_AMOUNT)
    cash_sequence: Mapped[int] = mapped_column(BigInteger, server_default="0")
    cash_hash: Mapped[str] = mapped_column(String(64), server_default=GENESIS)


class Trade(Base):
    """A row of the ledger, append-only by trigger.

    `rules.chain.TradeRow` documents the order and form of the fields.
    """

    __tablename__ = "trades"
    __table_args__ = (
        _build_portfolio_key(),
        UniqueConstraint("tenant_id", "portfolio_id", "sequence"),
        # The key comes first, so that `load_rows_by_name` can use this index.
        UniqueConstraint("idempotency_key", "tenant_id", "portfolio_id", "kind"),
        build_partial_index(
            "uq_trades_tenant_id_reverses", _IS_REVERSAL, "tenant_id", "reverses", unique=True
        ),
        Index(None, "tenant_id", "portfolio_id", "symbol", "product", "sequence"),
        build_partial_index(
            "ix_trades_of_corporate_actions", _IS_ACTION, "tenant_id", "portfolio_id", "symbol"
        ),
        Index(None, "tenant_id", "symbol", "trade_id"),
        Index(None, "tenant_id", "user_id", "trade_id"),
        build_partial_index("ix_trades_of_actors", _HAS_ACTOR, "tenant_id", "actor", "trade_id"),
        CheckConstraint("side IN ('BUY', 'SELL')", name="side_is_known"),
        CheckConstraint("kind IN ('trade', 'reversal', 'split', 'transfer')", name="kind_is_known"),
        CheckConstraint("(kind = 'reversal') = (reverses IS NOT NULL)", name="reversal_names_its_trade"),
        CheckConstraint("(idempotency_key IS NULL) = (request_hash IS NULL)", name="key_has_request_hash"),
        CheckConstraint("sequence > 0", name="sequence_is_positive"),
        CheckConstraint(_POSITIVE.format("quantity"), name="quantity_is_positive"),
        CheckConstraint("CAST(gmv AS NUMERIC) >= 0", name="gmv_is_not_negative"),
        CheckConstraint(_POSITIVE.format("price"), name="price_is_positive"),
        CheckConstraint(CURRENCY_IS_WHOLE, name="currency_is_whole"),
    )

    tenant_id: Mapped[int] = mapped_column(Integer, primary_key=True)
    trade_id: Mapped[str] = mapped_column(String(32), primary_key=True)
    portfolio_id: Mapped[int] = mapped_column(BigInteger)
    sequence: Mapped[int] = mapped_column(BigInteger)
    kind: Mapped[str] = mapped_column(String(8))
    symbol: Mapped[str] = mapped_column(SymbolText)
    product: Mapped[str] = mapped_column(String(8))
    side: Mapped[str] = mapped_column(String(4))
    quantity: Mapped[Decimal] = mapped_column(Amount)
    price: Mapped[Decimal] = mapped_column(Amount)
    gmv: Mapped[Decimal] = mapped_column(Amount)
    charges: Mapped[Decimal] = mapped_column(Amount)
    realized_pnl: Mapped[Decimal] = mapped_column(Amount)
    user_id: Mapped[str | None] = mapped_column(String(100))
    source: Mapped[str] = mapped_column(String(60))
    order_id: Mapped[str | None] = mapped_column(String(32))
    note: Mapped[str | None] = mapped_column(Text)
    idempotency_key: Mapped[str | None] = mapped_column(String(210))
    request_hash: Mapped[str | None] = mapped_column(String(64))
    reverses: Mapped[str | None] = mapped_column(String(32))
    executed_at: Mapped[datetime] = mapped_column(Instant)
    created_at: Mapped[datetime] = mapped_column(Instant)
    quantity_delta: Mapped[Decimal] = mapped_column(Amount)
    cost_delta: Mapped[Decimal] = mapped_column(Amount)
    cash_delta: Mapped[Decimal] = mapped_column(Amount)
    position_quantity: Mapped[Decimal] = mapped_column(Amount)
    position_cost: Mapped[Decimal] = mapped_column(Amount)
    position_realized_pnl: Mapped[Decimal] = mapped_column(Amount)
    trades_after: Mapped[int] = mapped_column(BigInteger)
    buys_after: Mapped[int] = mapped_column(BigInteger)
    portfolio_realized_pnl: Mapped[Decimal] = mapped_column(Amount)
    cash_after: Mapped[Decimal] = mapped_column(Amount)
    actor: Mapped[str | None] = mapped_column(String(300))
    request_id: Mapped[str | None] = mapped_column(String(100))
    currency: Mapped[str | None] = mapped_column(String(3))
    fx_rate: Mapped[Decimal | None] = mapped_column(Amount)
    local_cost_delta: Mapped[Decimal | None] = mapped_column(Amount)
    position_local_cost: Mapped[Decimal | None] = mapped_column(Amount)
    backdated_reason: Mapped[str | None] = mapped_column(Text)
    hash_version: Mapped[int] = mapped_column(Integer)
    hash: Mapped[str] = mapped_column(String(64))


class PositionRow(Base):
    """The position of a portfolio in one symbol and product.

    It is a projection of the ledger up to `last_sequence`. `rules.accounting.Position` documents `currency`,
    `local_cost` and the times.
    """

    __tablename__ = "positions"
    __table_args__ = (
        _build_portfolio_key(),
        CheckConstraint("(currency IS NULL) = (local_cost IS NULL)", name="currency_is_whole"),
    )

    tenant_id: Mapped[int] = mapped_column(Integer, primary_key=True)
    portfolio_id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    symbol: Mapped[str] = mapped_column(SymbolText, primary_key=True)
    product: Mapped[str] = mapped_column(String(8), primary_key=True)
    quantity: Mapped[Decimal] = mapped_column(Amount)
    cost: Mapped[Decimal] = mapped_column(Amount)
    realized_pnl: Mapped[Decimal] = mapped_column(Amount)
    last_sequence: Mapped[int] = mapped_column(BigInteger)
    currency: Mapped[str | None] = mapped_column(String(3))
    local_cost: Mapped[Decimal | None] = mapped_column(Amount)
    opened_at: Mapped[datetime | None] = mapped_column(Instant)
    closed_at: Mapped[datetime | None] = mapped_column(Instant)
    last_executed_at: Mapped[datetime | None] = mapped_column(Instant)


class PositionRecordRow(Base):
    """The figures of a position through time: charges, highest and lowest price, maximum drawdown.

    `rules.position_extremes.PositionRecord` documents the fields. A job computes them from the ledger and
    from bars, and computes a deleted row again.
    """

    __tablename__ = "position_records"
    __table_args__ = (_build_portfolio_key(),)

    tenant_id: Mapped[int] = mapped_column(Integer, primary_key=True)
    portfolio_id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    symbol: Mapped[str] = mapped_column(SymbolText, primary_key=True)
    product: Mapped[str] = mapped_column(String(8), primary_key=True)
    sequence: Mapped[int] = mapped_column(BigInteger)
    until: Mapped[datetime] = mapped_column(Instant)
    quantity: Mapped[Decimal] = mapped_column(Amount)
    cost: Mapped[Decimal] = mapped_column(Amount)
    realized_pnl: Mapped[Decimal] = mapped_column(Amount)
    charges: Mapped[Decimal] = mapped_column(Amount)
    highest_price: Mapped[Decimal | None] = mapped_column(Amount)
    lowest_price: Mapped[Decimal | None] = mapped_column(Amount)
    peak_pnl: Mapped[Decimal | None] = mapped_column(Amount)
    max_drawdown: Mapped[Decimal | None] = mapped_column(Amount)


class CashMovement(Base):
    """A row of the cash ledger, append-only by trigger.

    `rules.cash.CashRow` documents the fields. Opening cash is a column of the portfolio, and the cash of
    trades a column of `trades`.
    """

    __tablename__ = "cash_movements"
    __table_args__ = (
        _build_portfolio_key(),
        Index(None, "tenant_id", "portfolio_id", "kind", "symbol", "day"),
        build_partial_index(
            "uq_cash_movements_daily", _IS_DAILY, "tenant_id", "portfolio_id", "kind", "day", unique=True
        ),
        CheckConstraint("sequence > 0", name="sequence_is_positive"),
        CheckConstraint("trade_sequence >= 0", name="trade_sequence_is_not_negative"),
        CheckConstraint(
            "kind IN ('deposit', 'withdrawal', 'transfer_in', 'transfer_out', 'charges', 'dp_charges', "
            "'dividend', 'withholding', 'interest', 'borrow', 'adjustment')",
            name="kind_is_known",
        ),
    )

    tenant_id: Mapped[int] = mapped_column(Integer, primary_key=True)
    portfolio_id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    sequence: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    kind: Mapped[str] = mapped_column(String(12))
    amount: Mapped[Decimal] = mapped_column(Amount)
    currency: Mapped[str] = mapped_column(String(3))
    balance_after: Mapped[Decimal] = mapped_column(Amount)
    trade_sequence: Mapped[int] = mapped_column(BigInteger)
    counterpart_id: Mapped[int | None] = mapped_column(BigInteger)
    symbol: Mapped[str | None] = mapped_column(SymbolText)
    day: Mapped[str | None] = mapped_column(String(10))
    reason: Mapped[str | None] = mapped_column(Text)
    source: Mapped[str] = mapped_column(String(60))
    actor: Mapped[str | None] = mapped_column(String(300))
    request_id: Mapped[str | None] = mapped_column(String(100))
    idempotency_key: Mapped[str | None] = mapped_column(String(210))
    created_at: Mapped[datetime] = mapped_column(Instant)
    hash_version: Mapped[int] = mapped_column(Integer)
    hash: Mapped[str] = mapped_column(String(64))


class CorporateAction(Base):
    """A split, a symbol change or a cash dividend, as an administrator recorded it.

    `rules.corporate_actions.CorporateActionTerms` documents the terms. `booked_at` is when all portfolios
    were booked, null before the ex-date.
    """

    __tablename__ = "corporate_actions"
    __table_args__ = (
        CheckConstraint("kind IN ('split', 'symbol_change', 'dividend')", name="kind_is_known"),
        CheckConstraint("(reversed_at IS NULL) = (reversal_reason IS NULL)", name="reversal_has_a_reason"),
    )

    tenant_id: Mapped[int] = mapped_column(Integer, ForeignKey("tenants.id"), primary_key=True)
    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    kind: Mapped[str] = mapped_column(String(13))
    symbol: Mapped[str] = mapped_column(SymbolText)
    new_symbol: Mapped[str | None] = mapped_column(SymbolText)
    new_units: Mapped[Decimal | None] = mapped_column(Amount)
    old_units: Mapped[Decimal | None] = mapped_column(Amount)
    amount: Mapped[Decimal | None] = mapped_column(Amount)
    withholding_percent: Mapped[Decimal | None] = mapped_column(Amount)
    cash_in_lieu_price: Mapped[Decimal | None] = mapped_column(Amount)
    currency: Mapped[str | None] = mapped_column(String(3))
    ex_date: Mapped[str] = mapped_column(String(10))
    effective_at: Mapped[datetime] = mapped_column(Instant)
    pay_date: Mapped[str | None] = mapped_column(String(10))
    reason: Mapped[str] = mapped_column(Text)
    created_by: Mapped[str] = mapped_column(String(300))
    created_at: Mapped[datetime] = mapped_column(Instant)
    booked_at: Mapped[datetime | None] = mapped_column(Instant)
    reversed_at: Mapped[datetime | None] = mapped_column(Instant)
    reversal_reason: Mapped[str | None] = mapped_column(Text)
