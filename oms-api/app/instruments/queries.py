"""Statements about instruments; each begins with the tenant."""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, cast

from sqlalchemy import Connection, Table, select

from app.clock import iso
from app.database import matching_rows, upsertion, write
from app.instruments.models import InstrumentRow
from app.instruments.rules import Instrument, unlisted
from app.money import fixed

_TABLE = cast("Table", InstrumentRow.__table__)
_KEY = ("tenant_id", "symbol")
_TERMS = ("exchange", "asset_class", "currency", "tick_size", "lot_size", "is_tradable", "is_restricted")
Key = tuple[int, str]


def instruments_for(connection: Connection, keys: Sequence[Key]) -> dict[Key, Instrument]:
    """Return the instrument of every (tenant id, symbol), unlisted ones included."""
    found = matching_rows(connection, _TABLE, _KEY + _TERMS, _KEY, keys)
    listed = {(row[0], row[1]): _instrument(row[1:]) for row in found}
    return {key: listed.get(key) or unlisted(key[1]) for key in keys}


def list_instruments(
    connection: Connection, tenant_id: int, part: str, limit: int, after: str | None
) -> list[Instrument]:
    """Return the listed instruments whose symbol holds `part`, in the order of symbols, past `after`."""
    row = InstrumentRow
    columns = [_TABLE.c[name] for name in ("symbol", *_TERMS)]
    query = select(*columns).where(row.tenant_id == tenant_id).order_by(row.symbol).limit(limit)
    if part:
        query = query.where(row.symbol.contains(part, autoescape=True))
    if after is not None:
        query = query.where(row.symbol > after)
    return [_instrument(tuple(found)) for found in connection.execute(query)]


def all_instruments(connection: Connection) -> dict[Key, tuple[Instrument, str]]:
    """Return every listed instrument by tenant and symbol, each with when its terms were set."""
    columns = [_TABLE.c[name] for name in (*_KEY, *_TERMS, "updated_at")]
    rows = map(tuple, connection.execute(select(*columns)))
    return {(row[0], row[1]): (_instrument(row[1:-1]), _text(row[-1])) for row in rows}


def _text(instant: datetime | str) -> str:
    return iso(instant) if isinstance(instant, datetime) else instant


def set_terms(connection: Connection, tenant_id: int, terms: Instrument, at: datetime) -> None:
    """Set the terms of a symbol."""
    kind = (terms.exchange, terms.asset_class, terms.currency)
    steps = (fixed(terms.tick_size), fixed(terms.lot_size))
    row = (tenant_id, terms.symbol, *kind, *steps, terms.is_tradable, terms.is_restricted, iso(at))
    write(connection, upsertion(_TABLE, (*_KEY, *_TERMS, "updated_at"), _KEY, [row]))


def _instrument(row: Sequence[Any]) -> Instrument:
    """PostgreSQL gives decimals and booleans, SQLite text and numbers."""
    symbol, exchange, asset_class, currency, tick, lot, tradable, restricted = row
    steps = (Decimal(tick), Decimal(lot))
    return Instrument(symbol, exchange, asset_class, currency, *steps, bool(tradable), bool(restricted), True)
