"""Read and write the cash ledger. Every query filters by tenant first."""

from datetime import datetime
from decimal import Decimal
from typing import NamedTuple

from sqlalchemy import Connection, and_, or_, select

from app.column_values import format_canonical
from app.ledger.models import CashMovement, Portfolio, Trade
from app.ledger.rules.cash import CASH_COLUMNS, CashKind, CashRow
from app.ledger.rules.corporate_actions import ACTION_ROW_KINDS
from app.timestamps import Timestamp, format_timestamp

_MOVEMENT_COLUMNS = tuple(getattr(CashMovement, name) for name in CASH_COLUMNS)
_TRADE_COLUMNS = (
    Trade.sequence,
    Trade.trade_id,
    Trade.symbol,
    Trade.cash_delta,
    Trade.charges,
    Trade.cash_after,
    Trade.source,
    Trade.actor,
    Trade.request_id,
    Trade.idempotency_key,
    Trade.note,
    Trade.executed_at,
    Trade.created_at,
    Trade.hash,
)


class CashCursor(NamedTuple):
    """The place of a row among the cash rows of its portfolio.

    A trade has the cash sequence 0, so that it precedes the movements that were booked after it.
    """

    trade_sequence: int
    cash_sequence: int


class TradeCash(NamedTuple):
    """The cash of a trade. Amounts and instants are canonical text."""

    sequence: int
    trade_id: str
    symbol: str
    cash_delta: str
    charges: str
    cash_after: str
    source: str
    actor: str | None
    request_id: str | None
    idempotency_key: str | None
    reason: str | None
    executed_at: Timestamp
    created_at: Timestamp
    hash: str


def list_cash_movements(
    connection: Connection, tenant_id: int, portfolio_id: int, after: int = 0
) -> list[CashRow]:
    """Return the cash movements of a portfolio after a sequence, in sequence."""
    statement = (
        select(*_MOVEMENT_COLUMNS)
        .where(CashMovement.tenant_id == tenant_id, CashMovement.portfolio_id == portfolio_id)
        .where(CashMovement.sequence > after)
        .order_by(CashMovement.sequence)
    )
    return [CashRow._make(map(format_canonical, row)) for row in connection.execute(statement)]


def list_movements_between(
    connection: Connection, tenant_id: int, portfolio_id: int, after: int, until: int, limit: int
) -> list[CashRow]:
    """Return a portfolio's cash movements after the sequence `after`, up to `until`, in order."""
    statement = (
        select(*_MOVEMENT_COLUMNS)
        .where(CashMovement.tenant_id == tenant_id, CashMovement.portfolio_id == portfolio_id)
        .where(CashMovement.sequence > after, CashMovement.sequence <= until)
        .order_by(CashMovement.sequence)
        .limit(limit)
    )
    return [CashRow._make(map(format_canonical, row)) for row in connection.execute(statement)]


def list_movements_before(
    connection: Connection, tenant_id: int, portfolio_id: int, before: CashCursor | None, limit: int
) -> list[CashRow]:
    """Return the newest cash movements of a portfolio, newest first; `before` is the last row seen."""
    statement = (
        select(*_MOVEMENT_COLUMNS)
        .where(CashMovement.tenant_id == tenant_id, CashMovement.portfolio_id == portfolio_id)
        .order_by(CashMovement.sequence.desc())
        .limit(limit)
    )
    if before is not None:
        follows_earlier_trade = CashMovement.trade_sequence < before.trade_sequence
        follows_same_trade = and_(
            CashMovement.trade_sequence == before.trade_sequence, CashMovement.sequence < before.cash_sequence
        )
        statement = statement.where(or_(follows_earlier_trade, follows_same_trade))
    return [CashRow._make(map(format_canonical, row)) for row in connection.execute(statement)]


def list_trades_before(
    connection: Connection, tenant_id: int, portfolio_id: int, before: CashCursor | None, limit: int
) -> list[TradeCash]:
    """Return the cash of a portfolio's newest trades, newest first; `before` is the last row seen."""
    statement = (
        select(*_TRADE_COLUMNS)
        .where(Trade.tenant_id == tenant_id, Trade.portfolio_id == portfolio_id)
        .where(Trade.kind.not_in(ACTION_ROW_KINDS))  # they move no cash
        .order_by(Trade.sequence.desc())
        .limit(limit)
    )
    if before is not None:  # a trade precedes the movements that were booked after it
        last_sequence = before.trade_sequence if before.cash_sequence else before.trade_sequence - 1
        statement = statement.where(Trade.sequence <= last_sequence)
    return [TradeCash._make(map(format_canonical, row)) for row in connection.execute(statement)]


def list_trades_after(
    connection: Connection, tenant_id: int, portfolio_id: int, sequence: int
) -> list[TradeCash]:
    """Return the cash of a portfolio's trades from a sequence on, in sequence."""
    statement = (
        select(*_TRADE_COLUMNS)
        .where(Trade.tenant_id == tenant_id, Trade.portfolio_id == portfolio_id, Trade.sequence >= sequence)
        .order_by(Trade.sequence)
    )
    return [TradeCash._make(map(format_canonical, row)) for row in connection.execute(statement)]


def find_movement_amount(
    connection: Connection, tenant_id: int, portfolio_id: int, symbol: str, day: str, key: str
) -> Decimal | None:
    """Return the amount of the charge or adjustment with an idempotency key, None if there is none."""
    kinds = (CashKind.CHARGES.value, CashKind.ADJUSTMENT.value)
    statement = (
        select(CashMovement.amount)
        .where(CashMovement.tenant_id == tenant_id, CashMovement.portfolio_id == portfolio_id)
        .where(CashMovement.kind.in_(kinds), CashMovement.symbol == symbol, CashMovement.day == day)
        .where(CashMovement.idempotency_key == key)
    )
    return connection.execute(statement).scalars().first()


def load_portfolio_names(connection: Connection, tenant_id: int, ids: set[int]) -> dict[int, tuple[str, str]]:
    """Return the name and the name key of each portfolio, by id."""
    statement = select(Portfolio.id, Portfolio.name, Portfolio.name_key).where(
        Portfolio.tenant_id == tenant_id, Portfolio.id.in_(ids)
    )
    return {portfolio_id: (name, key) for portfolio_id, name, key in connection.execute(statement)}


def load_portfolio_creation_time(connection: Connection, tenant_id: int, portfolio_id: int) -> Timestamp:
    """Return when a portfolio was created, as canonical text."""
    statement = select(Portfolio.created_at).where(
        Portfolio.tenant_id == tenant_id, Portfolio.id == portfolio_id
    )
    created_at: datetime = connection.execute(statement).scalar_one()
    return format_timestamp(created_at)
