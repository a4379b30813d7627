"""What readers ask: every query begins with the tenant."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, NamedTuple

from sqlalchemy import (
    BindParameter,
    Cast,
    ColumnElement,
    Connection,
    Select,
    Text,
    bindparam,
    cast,
    func,
    select,
)
from sqlalchemy.orm import InstrumentedAttribute, aliased

from app.ids import build_first_trade_id
from app.ledger.models import Portfolio, PositionRow, Trade
from app.ledger.queries.canonical import canonical_trade
from app.ledger.rules.chain import COLUMNS, TradeRow
from app.text import list_spellings


class Book(NamedTuple):
    """A portfolio's counters, amounts as canonical text, at its present end or at some sequence number."""

    id: int
    name: str
    base_currency: str
    total_trades: int
    total_buys: int
    realized_pnl: str
    cash: str
    last_sequence: int


class Holding(NamedTuple):
    """A position with what it is held in; amounts as canonical text."""

    symbol: str
    product: str
    quantity: str
    cost: str
    realized_pnl: str


@dataclass(frozen=True, slots=True)
class ListedTrade:
    """A row with what stands in other tables."""

    row: TradeRow
    portfolio_name: str
    reversed_by: str | None


@dataclass(frozen=True, slots=True)
class TradeFilter:
    """Which trades: `None` means all. `since` is inclusive, `until` exclusive; `portfolios` are the name keys
    that the caller is narrowed to.
    """

    symbol: str | None = None
    portfolio_key: str | None = None
    side: str | None = None
    user_id: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    idempotency_key: str | None = None
    portfolios: frozenset[str] | None = None


def trades_of(tenant_id: int) -> Select[Any]:
    """Return the tenant's trades, each as `COLUMNS`, its portfolio's name, and the id of its reversal."""
    reversal = aliased(Trade)
    undone = (reversal.tenant_id == Trade.tenant_id) & (reversal.reverses == Trade.trade_id)
    home = (Portfolio.tenant_id == Trade.tenant_id) & (Portfolio.id == Trade.portfolio_id)
    columns = (getattr(Trade, name) for name in COLUMNS)
    return (
        select(*columns, Portfolio.name, reversal.trade_id)
        .join(Portfolio, home)
        .outerjoin(reversal, undone)
        .where(Trade.tenant_id == tenant_id)
    )


def find_trade(
    connection: Connection, tenant_id: int, trade_id: str, portfolios: frozenset[str] | None
) -> ListedTrade | None:
    """Return one trade of the portfolios (name keys; None: all), or None."""
    statement = trades_of(tenant_id).where(Trade.trade_id == trade_id, *_within(portfolios))
    row = connection.execute(statement).one_or_none()
    return _listed(row) if row else None


def list_trades(
    connection: Connection, tenant_id: int, wanted: TradeFilter, limit: int, skip: int, after: str | None
) -> list[ListedTrade]:
    """Return trades newest first; `after` is the position (see `position_of`) of the last one seen."""
    statement = trades_of(tenant_id).where(*_conditions(wanted)).limit(limit)
    if wanted.portfolio_key is not None:
        portfolio_id = _portfolio_id(connection, tenant_id, wanted.portfolio_key)
        if portfolio_id is None:
            return []
        statement = statement.where(Trade.portfolio_id == portfolio_id).order_by(Trade.sequence.desc())
        beyond = [Trade.sequence < int(after)] if after else []
    else:
        statement = statement.order_by(Trade.trade_id.desc())
        beyond = [Trade.trade_id < after] if after else []
    return [_listed(row) for row in connection.execute(statement.where(*beyond).offset(skip or None))]


def position_of(trade: ListedTrade, wanted: TradeFilter) -> str:
    """Return where a list with this filter goes on after the trade."""
    return str(trade.row.sequence) if wanted.portfolio_key is not None else trade.row.trade_id


def find_books(
    connection: Connection, tenant_id: int, name_keys: Sequence[str]
) -> dict[str, tuple[Book, list[Holding]]]:
    """Return by name key the portfolios that exist as they stand, each with its positions by symbol, flat
    ones included: one statement.
    """
    found: dict[str, tuple[Book, list[Holding]]] = {}
    width = len(Book._fields)
    names = {"tenant_id": tenant_id, "name_keys": list(name_keys)}
    for name_key, *row in connection.execute(_BOOKS, names):
        if name_key not in found:
            found[name_key] = (Book._make(row[:width]), [])
        if row[width] is not None:
            found[name_key][1].append(Holding._make(row[width:]))
    return found


def book_at(connection: Connection, tenant_id: int, book: Book, sequence: int) -> Book:
    """Return the portfolio as it stood after its row `sequence` (at least 1): one indexed read."""
    columns = (
        Trade.trades_after,
        Trade.buys_after,
        _text(Trade.portfolio_realized_pnl),
        _text(Trade.cash_after),
        Trade.sequence,
    )
    where = (Trade.tenant_id == tenant_id, Trade.portfolio_id == book.id, Trade.sequence == sequence)
    return Book(
        book.id, book.name, book.base_currency, *connection.execute(select(*columns).where(*where)).one()
    )


def opening_cash(connection: Connection, tenant_id: int, book: Book) -> str:
    """Return the cash that the portfolio began with, as canonical text."""
    where = (Portfolio.tenant_id == tenant_id, Portfolio.id == book.id)
    return connection.execute(select(_text(Portfolio.opening_cash)).where(*where)).scalar_one()


def sequence_at(connection: Connection, tenant_id: int, book: Book, instant: datetime) -> int:
    """Return the number of the last row that was recorded at `instant` or before, 0 for none.

    Sequence numbers have no gaps and `created_at` never falls along them, so a bisection finds it.
    """
    low, high = 0, book.last_sequence
    while low < high:
        middle = (low + high + 1) // 2
        place = {"tenant_id": tenant_id, "portfolio_id": book.id, "sequence": middle}
        if connection.execute(_CREATED_AT, place).scalar_one() <= instant:
            low = middle
        else:
            high = middle - 1
    return low


def holdings_at(connection: Connection, tenant_id: int, book: Book, sequence: int) -> list[Holding]:
    """Return the positions as they stood after row `sequence`: the last row of each symbol tells its
    position.
    """
    earlier = aliased(Trade)
    last = (
        select(func.max(earlier.sequence))
        .where(earlier.tenant_id == PositionRow.tenant_id, earlier.portfolio_id == PositionRow.portfolio_id)
        .where(earlier.symbol == PositionRow.symbol, earlier.product == PositionRow.product)
        .where(earlier.sequence <= sequence)
        .correlate(PositionRow)
        .scalar_subquery()
    )
    same_book = (Trade.tenant_id == PositionRow.tenant_id) & (Trade.portfolio_id == PositionRow.portfolio_id)
    columns = (Trade.position_quantity, Trade.position_cost, Trade.position_realized_pnl)
    statement = (
        select(Trade.symbol, Trade.product, *map(_text, columns))
        .select_from(PositionRow)
        .join(Trade, same_book & (Trade.sequence == last))
        .where(PositionRow.tenant_id == tenant_id, PositionRow.portfolio_id == book.id)
        .order_by(Trade.symbol, Trade.product)
    )
    return [Holding._make(row) for row in connection.execute(statement)]


def list_books(
    connection: Connection,
    tenant_id: int,
    part: str | None,
    limit: int,
    after: str | None,
    portfolios: frozenset[str] | None,
) -> list[Book]:
    """Return portfolios by name; `part` filters by a part of the name key, `after` is the name key of the
    last seen, `portfolios` are the name keys that the caller is narrowed to.
    """
    statement = select(*_BOOK_COLUMNS).where(Portfolio.tenant_id == tenant_id, *_within(portfolios))
    if part:
        statement = statement.where(Portfolio.name_key.contains(part, autoescape=True))
    if after is not None:
        statement = statement.where(Portfolio.name_key > after)
    return [Book(*row) for row in connection.execute(statement.order_by(Portfolio.name_key).limit(limit))]


def _conditions(wanted: TradeFilter) -> list[ColumnElement[bool]]:
    exact = {
        Trade.symbol: wanted.symbol,
        Trade.side: wanted.side,
        Trade.idempotency_key: wanted.idempotency_key,
    }
    conditions: list[ColumnElement[bool]] = [
        column == value for column, value in exact.items() if value is not None
    ]
    if wanted.user_id is not None:
        conditions.append(Trade.user_id.in_(list_spellings(wanted.user_id)))
    conditions += _within(wanted.portfolios)
    if wanted.since is not None:  # ids hold the time of recording, in order: their index narrows the search
        conditions += [Trade.created_at >= wanted.since, Trade.trade_id >= build_first_trade_id(wanted.since)]
    if wanted.until is not None:
        conditions.append(Trade.created_at < wanted.until)
    if wanted.idempotency_key is not None:
        conditions.append(Trade.kind.in_(("trade", "reversal")))  # the unique index leads with it
    return conditions


def _within(portfolios: frozenset[str] | None) -> list[ColumnElement[bool]]:
    return [] if portfolios is None else [Portfolio.name_key.in_(sorted(portfolios))]


def _portfolio_id(connection: Connection, tenant_id: int, name_key: str) -> int | None:
    where = (Portfolio.tenant_id == tenant_id, Portfolio.name_key == name_key)
    return connection.execute(select(Portfolio.id).where(*where)).scalar_one_or_none()


def _listed(row: Any) -> ListedTrade:  # a row of `trades_of`
    return ListedTrade(canonical_trade(row[: len(COLUMNS)]), row[-2], row[-1])


def _text(amount: InstrumentedAttribute[Decimal]) -> Cast[str]:
    """An amount as both databases write it is its canonical text: decimals made of it would be unmade at
    once.
    """
    return cast(amount, Text)


_BOOK_COLUMNS = (
    Portfolio.id,
    Portfolio.name,
    Portfolio.base_currency,
    Portfolio.total_trades,
    Portfolio.total_buys,
    _text(Portfolio.realized_pnl),
    _text(Portfolio.cash),
    Portfolio.last_sequence,
)
_HOLDING_COLUMNS = (
    PositionRow.symbol,
    PositionRow.product,
    _text(PositionRow.quantity),
    _text(PositionRow.cost),
    _text(PositionRow.realized_pnl),
)
_NAME_KEYS: BindParameter[str] = bindparam("name_keys", expanding=True)
_BOOKS = (
    select(Portfolio.name_key, *_BOOK_COLUMNS, *_HOLDING_COLUMNS)
    .outerjoin(
        PositionRow,
        (PositionRow.tenant_id == Portfolio.tenant_id) & (PositionRow.portfolio_id == Portfolio.id),
    )
    .where(Portfolio.tenant_id == bindparam("tenant_id"), Portfolio.name_key.in_(_NAME_KEYS))
    .order_by(PositionRow.symbol, PositionRow.product)
)
_CREATED_AT = select(Trade.created_at).where(
    Trade.tenant_id == bindparam("tenant_id"),
    Trade.portfolio_id == bindparam("portfolio_id"),
    Trade.sequence == bindparam("sequence"),
)
