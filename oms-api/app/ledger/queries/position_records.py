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
from app.ledger.rules.position_extremes import Extremes, LedgerRow, PositionAfterRow, PositionRecord
from app.market_data.models import QuoteRow
from app.money import ZERO, format_fixed
from app.timestamps import format_timestamp

_RECORD_TABLE = cast("Table", PositionRecordRow.__table__)
_TRADE_TABLE = cast("Table", Trade.__table__)
_KEY_COLUMNS = ("tenant_id", "portfolio_id", "symbol", "product")
_AMOUNT_COLUMNS = ("quantity", "cost", "realized_pnl", "charges")
_EXTREME_COLUMNS = Extremes._fields
_RECORD_COLUMNS = ("sequence", "until", *_AMOUNT_COLUMNS, *_EXTREME_COLUMNS)
_LEDGER_ROW_COLUMNS = ("sequence", "created_at", "kind", "price", "charges")
_POSITION_AFTER_COLUMNS = ("position_quantity", "position_cost", "position_realized_pnl")


class PositionWithRecord(NamedTuple):
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


def list_positions_with_records(
    connection: Connection, after: PositionKey | None, limit: int, quoted_since: datetime | None
) -> list[PositionWithRecord]:
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
    keys = tuple(getattr(position, name) for name in _KEY_COLUMNS)
    if after is not None:
        conditions.append(tuple_(*keys) > tuple_(*after))
    return _load_positions_with_records(connection, conditions, limit)


def load_positions_with_records(
    connection: Connection, tenant_id: int, keys: Sequence[PositionKey]
) -> dict[PositionKey, PositionWithRecord]:
    """Return positions of a tenant with their records."""
    portfolios, symbols = {key.portfolio_id for key in keys}, {key.symbol for key in keys}
    conditions: list[ColumnElement[bool]] = [
        PositionRow.tenant_id == tenant_id,
        PositionRow.portfolio_id.in_(sorted(portfolios)),
        PositionRow.symbol.in_(sorted(symbols)),
    ]
    position_keys = set(keys)
    return {
        position.key: position
        for position in _load_positions_with_records(connection, conditions, None)
        if position.key in position_keys
    }


def list_rows_since(
    connection: Connection, sequences: Mapping[PositionKey, int]
) -> dict[PositionKey, list[LedgerRow]]:
    """Return, by position, its rows of the ledger after a sequence, in their order."""
    keys: list[BulkRow] = [(*key, sequence + 1) for key, sequence in sorted(sequences.items())]
    columns = _KEY_COLUMNS + _LEDGER_ROW_COLUMNS + _POSITION_AFTER_COLUMNS
    rows: dict[PositionKey, list[LedgerRow]] = {}
    for matching_row in load_matching_rows(
        connection, _TRADE_TABLE, columns, _KEY_COLUMNS, keys, minimum_column="sequence"
    ):
        sequence, at, kind, price, charges, *replay_amounts = matching_row[4:]
        row = LedgerRow(
            sequence,
            parse_instant(at),
            kind == "trade",
            Decimal(price),
            Decimal(charges),
            PositionAfterRow(*map(Decimal, replay_amounts)),
        )
        rows.setdefault(PositionKey(*matching_row[:4]), []).append(row)
    for ledgers in rows.values():
        ledgers.sort()
    return rows


def build_record_upsert(records: Mapping[PositionKey, PositionRecord]) -> BulkWrite:
    """Return the write that stores the records of positions."""
    rows: list[BulkRow] = [(*key, *_serialize_record(record)) for key, record in sorted(records.items())]
    return build_upsert(_RECORD_TABLE, _KEY_COLUMNS + _RECORD_COLUMNS, _KEY_COLUMNS, rows)


def _is_quoted(since: datetime) -> ColumnElement[bool]:
    position, quote = PositionRow, QuoteRow
    is_same = (quote.tenant_id == position.tenant_id, quote.symbol == position.symbol)
    return select(quote.symbol).where(*is_same, quote.at >= since).exists()


def _load_positions_with_records(
    connection: Connection, conditions: Sequence[ColumnElement[bool]], limit: int | None
) -> list[PositionWithRecord]:
    position, record = PositionRow, PositionRecordRow
    columns = (
        *(
            getattr(position, name)
            for name in (*_KEY_COLUMNS, "last_sequence", "currency", "cost", "local_cost")
        ),
        Portfolio.base_currency,
        *(getattr(record, name) for name in _RECORD_COLUMNS),
    )
    is_owner = and_(Portfolio.tenant_id == position.tenant_id, Portfolio.id == position.portfolio_id)
    is_same = and_(*(getattr(record, name) == getattr(position, name) for name in _KEY_COLUMNS))
    statement = (
        select(*columns)
        .join(Portfolio, is_owner)
        .outerjoin(record, is_same)
        .where(*conditions)
        .order_by(*(getattr(position, name) for name in _KEY_COLUMNS))
        .limit(limit)
    )
    return [_build_position_with_record(tuple(row)) for row in connection.execute(statement)]


def _build_position_with_record(row: tuple[Any, ...]) -> PositionWithRecord:
    last_sequence, currency, cost, local_cost, base = row[4:9]
    rate = None if currency is None else compute_rate_of_cost(cost, local_cost)
    record = None if row[9] is None else _parse_record(row[9:])
    return PositionWithRecord(PositionKey(*row[:4]), last_sequence, currency, base, rate, record)


def _parse_record(values: tuple[Any, ...]) -> PositionRecord:
    sequence, until, quantity, cost, realized_pnl, charges, *extremes = values
    parsed_extremes = None if extremes[0] is None else Extremes._make(extremes)
    return PositionRecord(
        sequence, until, PositionAfterRow(quantity, cost, realized_pnl), charges, parsed_extremes
    )


def _serialize_record(record: PositionRecord) -> BulkRow:
    amounts = (*map(format_fixed, record.position), format_fixed(record.charges))
    extremes = (
        [None] * len(_EXTREME_COLUMNS)
        if record.extremes is None
        else list(map(format_fixed, record.extremes))
    )
    return (record.sequence, format_timestamp(record.until), *amounts, *extremes)
