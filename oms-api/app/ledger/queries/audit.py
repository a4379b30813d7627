"""The ledger from end to end, in canonical text and in bounded memory, for whoever proves or rebuilds it."""

from collections.abc import Iterable, Iterator
from decimal import Decimal
from typing import Any, NamedTuple, cast

from sqlalchemy import Connection, Select, Table, func, select
from sqlalchemy.orm import aliased

from app.database import Amount, Instant
from app.events.models import Event
from app.ledger.models import Portfolio, PositionRow, Trade
from app.ledger.queries.canonical import canonical_trade
from app.ledger.rules.accounting import Fill, Position, Side, replay
from app.ledger.rules.chain import COLUMNS, TradeRow
from app.ledger.rules.verification import HoldingRow, PortfolioRow, Undone

RECORDED = "trade.recorded"
_CHUNK = 2_000  # rows fetched at once: some 2 MB of trades
_RFC_3339 = '\'YYYY-MM-DD"T"HH24:MI:SS.US"Z"\''
_BOOK_ORDER = "tenant_id, portfolio_id, sequence, trade_id"


class RecordedEvent(NamedTuple):
    """An event that tells of a trade; `payload` is JSON text."""

    id: int
    tenant_id: int
    payload: str
    created_at: str


def ledger_rows(connection: Connection) -> Iterator[TradeRow]:
    """Yield every row of the ledger, book by book, each book in order."""
    return map(TradeRow._make, _stream(connection, Trade.__table__, COLUMNS, order=_BOOK_ORDER))


def rows_after(
    connection: Connection, tenant_id: int, portfolio_id: int, sequence: int
) -> Iterator[TradeRow]:
    """Yield the rows of one book that follow on `sequence`, in order."""
    where = f"tenant_id = {tenant_id:d} AND portfolio_id = {portfolio_id:d} AND sequence > {sequence:d}"
    rows = _stream(connection, Trade.__table__, COLUMNS, order=_BOOK_ORDER, where=where)
    return map(TradeRow._make, rows)


def portfolio_rows(connection: Connection, where: str = "") -> Iterator[PortfolioRow]:
    """Yield every portfolio by tenant and id."""
    rows = _stream(connection, Portfolio.__table__, PortfolioRow._fields, order="tenant_id, id", where=where)
    return map(PortfolioRow._make, rows)


def portfolio_row(connection: Connection, tenant_id: int, portfolio_id: int) -> PortfolioRow:
    """Return one portfolio."""
    (row,) = portfolio_rows(connection, f"tenant_id = {tenant_id:d} AND id = {portfolio_id:d}")
    return row


def holding_rows(connection: Connection, where: str = "") -> Iterator[HoldingRow]:
    """Yield the table of positions, book by book."""
    order = "tenant_id, portfolio_id"
    rows = _stream(connection, PositionRow.__table__, HoldingRow._fields, order=order, where=where)
    return map(HoldingRow._make, rows)


def holding_rows_of(connection: Connection, tenant_id: int, portfolio_id: int) -> Iterator[HoldingRow]:
    """Yield the table's positions of one book."""
    return holding_rows(connection, f"tenant_id = {tenant_id:d} AND portfolio_id = {portfolio_id:d}")


def recorded_events(connection: Connection) -> Iterator[RecordedEvent]:
    """Yield every event that tells of a trade."""
    where = f"type = '{RECORDED}'"
    rows = _stream(connection, Event.__table__, RecordedEvent._fields, order="", where=where)
    return map(RecordedEvent._make, rows)


def repeated_key(connection: Connection) -> TradeRow | None:
    """Return a row whose idempotency key is another row's too, for the same kind of command; None as it should be."""
    bound = (Trade.tenant_id, Trade.kind, Trade.idempotency_key)
    statement = (
        select(*bound, func.max(Trade.trade_id))
        .where(Trade.idempotency_key.is_not(None))
        .group_by(*bound)
        .having(func.count() > 1)
        .limit(1)
    )
    found = connection.execute(statement).one_or_none()
    return _trade(connection, found[0], found[3]) if found else None


def undone_by(connection: Connection, reversal: TradeRow) -> Undone | None:
    """Return what a reversal undid, with the position that the other trades up to it give.

    None where it names no earlier trade of its own book.
    """
    original = _trade(connection, reversal.tenant_id, reversal.reverses)
    if original is None or original.kind != "trade" or original.sequence >= reversal.sequence:
        return None
    if original.portfolio_id != reversal.portfolio_id:
        return None
    first = _replay_from(connection, original, reversal)
    fills = _standing(connection, original, first.sequence, reversal.sequence)
    return Undone(original, _reversed_before(connection, reversal), replay(fills, _position_before(first)))


def _replay_from(connection: Connection, original: TradeRow, reversal: TradeRow) -> TradeRow:
    """Return the row where a replay may begin: what stood before it stands at the reversal too.

    That is the trade itself, unless reversals since then undid earlier ones.
    """
    start = original
    while True:
        earlier = connection.execute(_earliest_undone(start, reversal.sequence)).scalar_one()
        if earlier is None or earlier >= start.sequence:
            return start
        start = canonical_trade(connection.execute(_at(start, earlier)).one())


def _position_before(row: TradeRow) -> Position:
    before = (
        Decimal(after) - Decimal(change)
        for after, change in (
            (row.position_quantity, row.quantity_delta),
            (row.position_cost, row.cost_delta),
            (row.position_realized_pnl, row.realized_pnl),
        )
    )
    return Position(*before)


def _standing(connection: Connection, original: TradeRow, start: int, end: int) -> Iterator[Fill]:
    """Yield the fills of the trade's symbol from `start` to before `end` that no reversal up to `end` undid."""
    undone = aliased(Trade)
    is_undone = (
        select(undone.trade_id)
        .where(undone.tenant_id == Trade.tenant_id, undone.reverses == Trade.trade_id, undone.sequence <= end)
        .correlate(Trade)
        .exists()
    )
    statement = (
        select(Trade.side, Trade.quantity, Trade.gmv)
        .where(*_same_symbol(original), Trade.sequence >= start, Trade.sequence < end)
        .where(Trade.kind == "trade", Trade.trade_id != original.trade_id, ~is_undone)
        .order_by(Trade.sequence)
    )
    for side, quantity, gmv in connection.execute(statement, execution_options={"yield_per": _CHUNK}):
        yield Fill(Side(side), quantity, gmv)


def _earliest_undone(start: TradeRow, end: int) -> Select[tuple[int | None]]:
    """Select the lowest sequence number that the reversals after `start`, up to `end`, undid."""
    undone = aliased(Trade)
    return (
        select(func.min(undone.sequence))
        .join_from(Trade, undone, (undone.tenant_id == Trade.tenant_id) & (undone.trade_id == Trade.reverses))
        .where(*_same_symbol(start), Trade.sequence > start.sequence, Trade.sequence <= end)
    )


def _at(row: TradeRow, sequence: int) -> Select[Any]:
    where = (Trade.tenant_id == row.tenant_id, Trade.portfolio_id == row.portfolio_id)
    return _trades().where(*where, Trade.sequence == sequence)


def _reversed_before(connection: Connection, reversal: TradeRow) -> str | None:
    where = (Trade.tenant_id == reversal.tenant_id, Trade.reverses == reversal.reverses)
    earlier = select(func.min(Trade.trade_id)).where(*where, Trade.trade_id != reversal.trade_id)
    return connection.execute(earlier.where(Trade.sequence < reversal.sequence)).scalar_one()


def _trade(connection: Connection, tenant_id: int, trade_id: str | None) -> TradeRow | None:
    where = (Trade.tenant_id == tenant_id, Trade.trade_id == trade_id)
    found = connection.execute(_trades().where(*where)).one_or_none()
    return canonical_trade(found) if found else None


def _trades() -> Select[Any]:
    return select(*(getattr(Trade, name) for name in COLUMNS))


def _same_symbol(row: TradeRow) -> tuple[Any, ...]:  # conditions
    book = (Trade.tenant_id == row.tenant_id, Trade.portfolio_id == row.portfolio_id)
    return (*book, Trade.symbol == row.symbol, Trade.product == row.product)


def _stream(
    connection: Connection, table: Any, names: Iterable[str], order: str, where: str = ""
) -> Iterator[tuple[Any, ...]]:
    """Yield rows as both databases' text, by a cursor on the server: reading a million decimals takes minutes."""
    columns = ", ".join(_as_text(connection, cast("Table", table), name) for name in names)
    statement = f"SELECT {columns} FROM {table.name}"  # noqa: S608  # names of the code, numbers of ours
    statement += f" WHERE {where}" if where else ""
    statement += f" ORDER BY {order}" if order else ""
    options = {"stream_results": True, "yield_per": _CHUNK}
    with connection.exec_driver_sql(statement, execution_options=options) as result:
        for part in result.partitions(_CHUNK):  # a plain statement does not heed yield_per
            yield from part


def _as_text(connection: Connection, table: Table, name: str) -> str:
    kind = table.c[name].type
    if connection.dialect.name != "sqlite":
        if isinstance(kind, Amount):
            return f"{name}::text"
        if isinstance(kind, Instant):
            return f"to_char({name} AT TIME ZONE 'UTC', {_RFC_3339})"
    return name
