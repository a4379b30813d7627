"""Statements about the figures of positions through time."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, NamedTuple, cast

from sqlalchemy import ColumnElement, Connection, Table, and_, or_, select, tuple_

from app.column_values import parse_instant
from app.database import build_upsert, load_matching_rows
from app.database.bulk import BulkRow, BulkWrite
from app.ledger.models import Portfolio, PositionRecordRow, PositionRow, Trade
from app.ledger.rules.equity import compute_rate_of_cost
from app.ledger.rules.keys import PositionKey
from app.ledger.rules.position_extremes import Extremes, LedgerRow, PositionRecord, PositionState
from app.market_data.models import QuoteRow
from app.money import ZERO, format_fixed
from app.timestamps import format_timestamp

_RECORDS = cast("Table", PositionRecordRow.__table__)
_TRADES = cast("Table", Trade.__table__)
_KEY = ("tenant_id", "portfolio_id", "symbol", "product")
_AMOUNTS = ("quantity", "cost", "realized_pnl", "charges")
_EXTREMES = Extremes._fields
_COLUMNS = ("sequence", "until", *_AMOUNTS, *_EXTREMES)
_ROW = ("sequence", "created_at", "kind", "price", "charges")
_HOLDING = ("position_quantity", "position_cost", "position_realized_pnl")


class RecordedPosition(NamedTuple):
    """A position with its stored record, None if it has none. `cost_rate` is None in the own currency."""

    key: PositionKey
    last_sequence: int
    currency: str | None
    base_currency: str
    cost_rate: Decimal | None
    record: PositionRecord | None

    @property
    def is_current(self) -> bool:
        """Whether the record includes the last trade."""
        return self.record is not None and self.record.sequence == self.last_sequence


def list_recorded_positions(
    connection: Connection, after: PositionKey | None, limit: int, quoted_since: datetime | None
) -> list[RecordedPosition]:
    """Return open positions and those with trades that are not in their record, by key after `after`.

    With `quoted_since`, only open positions with a current record whose symbol has a manual quote since then.
    """
    position, is_open = PositionRow, PositionRow.quantity != ZERO
    sequence = PositionRecordRow.sequence
    conditions: list[ColumnElement[bool]]
    if quoted_since is None:
        conditions = [or_(is_open, sequence.is_(None), sequence != position.last_sequence)]
    else:
        conditions = [is_open, sequence == position.last_sequence, _is_quoted(quoted_since)]
    keys = tuple(getattr(position, name) for name in _KEY)
    if after is not None:
        conditions.append(tuple_(*keys) > tuple_(*after))
    return _load_positions(connection, conditions, limit)


def load_recorded_positions(
    connection: Connection, tenant_id: int, keys: Sequence[PositionKey]
) -> dict[PositionKey, RecordedPosition]:
    """Return positions of a tenant with their records."""
    portfolios, symbols = {key.portfolio_id for key in keys}, {key.symbol for key in keys}
    conditions: list[ColumnElement[bool]] = [
        PositionRow.tenant_id == tenant_id,
        PositionRow.portfolio_id.in_(sorted(portfolios)),
        PositionRow.symbol.in_(sorted(symbols)),
    ]
    position_keys = set(keys)
    return {
        recorded_position.key: recorded_position
        for recorded_position in _load_positions(connection, conditions, None)
        if recorded_position.key in position_keys
    }


def list_rows_since(
    connection: Connection, sequences: Mapping[PositionKey, int]
) -> dict[PositionKey, list[LedgerRow]]:
    """Return, by position, its rows of the ledger after a sequence, in their order."""
    keys: list[BulkRow] = [(*key, sequence + 1) for key, sequence in sorted(sequences.items())]
    columns = _KEY + _ROW + _HOLDING
    rows: dict[PositionKey, list[LedgerRow]] = {}
    for matching_row in load_matching_rows(
        connection, _TRADES, columns, _KEY, keys, minimum_column="sequence"
    ):
        sequence, at, kind, price, charges, *replay_amounts = matching_row[4:]
        row = LedgerRow(
            sequence,
            parse_instant(at),
            kind == "trade",
            Decimal(price),
            Decimal(charges),
            PositionState(*map(Decimal, replay_amounts)),
        )
        rows.setdefault(PositionKey(*matching_row[:4]), []).append(row)
    for ledgers in rows.values():
        ledgers.sort()
    return rows


def build_record_write(records: Mapping[PositionKey, PositionRecord]) -> BulkWrite:
    """Return the write that stores the records of positions."""
    rows: list[BulkRow] = [(*key, *_serialize_record(record)) for key, record in sorted(records.items())]
    return build_upsert(_RECORDS, _KEY + _COLUMNS, _KEY, rows)


def _is_quoted(since: datetime) -> ColumnElement[bool]:
    position, quote = PositionRow, QuoteRow
    is_same = (quote.tenant_id == position.tenant_id, quote.symbol == position.symbol)
    return select(quote.symbol).where(*is_same, quote.at >= since).exists()


def _load_positions(
    connection: Connection, conditions: Sequence[ColumnElement[bool]], limit: int | None
) -> list[RecordedPosition]:
    position, record = PositionRow, PositionRecordRow
    columns = (
        *(getattr(position, name) for name in (*_KEY, "last_sequence", "currency", "cost", "local_cost")),
        Portfolio.base_currency,
        *(getattr(record, name) for name in _COLUMNS),
    )
    is_owner = and_(Portfolio.tenant_id == position.tenant_id, Portfolio.id == position.portfolio_id)
    is_same = and_(*(getattr(record, name) == getattr(position, name) for name in _KEY))
    statement = (
        select(*columns)
        .join(Portfolio, is_owner)
        .outerjoin(record, is_same)
        .where(*conditions)
        .order_by(*(getattr(position, name) for name in _KEY))
        .limit(limit)
    )
    return [_build_record(tuple(row)) for row in connection.execute(statement)]


def _build_record(row: tuple[Any, ...]) -> RecordedPosition:
    last_sequence, currency, cost, local_cost, base = row[4:9]
    rate = None if currency is None else compute_rate_of_cost(cost, local_cost)
    record = None if row[9] is None else _parse_record(row[9:])
    return RecordedPosition(PositionKey(*row[:4]), last_sequence, currency, base, rate, record)


def _parse_record(values: tuple[Any, ...]) -> PositionRecord:
    sequence, until, quantity, cost, realized_pnl, charges, *extremes = values
    parsed_extremes = None if extremes[0] is None else Extremes._make(extremes)
    return PositionRecord(
        sequence, until, PositionState(quantity, cost, realized_pnl), charges, parsed_extremes
    )


def _serialize_record(record: PositionRecord) -> BulkRow:
    amounts = (*map(format_fixed, record.holding), format_fixed(record.charges))
    extremes = (
        [None] * len(_EXTREMES) if record.extremes is None else list(map(format_fixed, record.extremes))
    )
    return (record.sequence, format_timestamp(record.until), *amounts, *extremes)
