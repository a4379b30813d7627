"""Statements about instruments; each begins with the tenant."""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, cast

from sqlalchemy import Connection, Table, func, select

from app.clock import iso
from app.database import matching_rows, upsertion, write
from app.instruments.models import InstrumentRow
from app.instruments.rules import Instrument, unlisted
from app.money import fixed

_TABLE = cast("Table", InstrumentRow.__table__)
_KEY = ("tenant_id", "symbol")
_TERMS = (
    "exchange",
    "asset_class",
    "currency",
    "tick_size",
    "lot_size",
    "is_tradable",
    "is_restricted",
    "name",
)
Key = tuple[int, str]


def instruments_for(connection: Connection, keys: Sequence[Key]) -> dict[Key, Instrument]:
    """Return the instrument of every (tenant id, symbol), unlisted ones included."""
    found = matching_rows(connection, _TABLE, _KEY + _TERMS, _KEY, keys)
    listed = {(row[0], row[1]): _instrument(row[1:]) for row in found}
    return {key: listed.get(key) or unlisted(key[1]) for key in keys}


def list_instruments(
    connection: Connection, tenant_id: int, part: str, limit: int, after: str | None
) -> list[Instrument]:
    """Return the listed instruments whose symbol or name holds `part`, in any case, in the order of symbols,
    past `after`.
    """
    row = InstrumentRow
    columns = [_TABLE.c[name] for name in ("symbol", *_TERMS)]
    query = select(*columns).where(row.tenant_id == tenant_id).order_by(row.symbol).limit(limit)
    if part:
        in_symbol = row.symbol.contains(part.upper(), autoescape=True)
        in_name = func.lower(row.name).contains(part.lower(), autoescape=True)
        as_written = row.name.contains(part, autoescape=True)  # SQLite folds the case of ASCII letters only
        query = query.where(in_symbol | in_name | as_written)
    if after is not None:
        query = query.where(row.symbol > after)
    return [_instrument(tuple(found)) for found in connection.execute(query)]


def set_terms(connection: Connection, tenant_id: int, terms: Instrument, at: datetime) -> None:
    """Set the terms of a symbol."""
    kind = (terms.exchange, terms.asset_class, terms.currency)
    steps = (fixed(terms.tick_size), fixed(terms.lot_size))
    allowed = (terms.is_tradable, terms.is_restricted)
    row = (tenant_id, terms.symbol, *kind, *steps, *allowed, terms.name, iso(at))
    write(connection, upsertion(_TABLE, (*_KEY, *_TERMS, "updated_at"), _KEY, [row]))


def _instrument(row: Sequence[Any]) -> Instrument:
    """PostgreSQL gives decimals and booleans, SQLite text and numbers."""
    symbol, exchange, asset_class, currency, tick, lot, tradable, restricted, name = row
    steps = (Decimal(tick), Decimal(lot))
    allowed = (bool(tradable), bool(restricted))
    return Instrument(symbol, exchange, asset_class, currency, *steps, *allowed, is_listed=True, name=name)
