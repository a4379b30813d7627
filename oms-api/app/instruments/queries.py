"""Statements about instruments. Each one filters by tenant."""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from functools import lru_cache
from typing import Any, NamedTuple, cast

from sqlalchemy import Connection, Table, delete, func, select

from app.column_values import convert_instant
from app.database import build_insert, build_upsert, execute_writes, load_matching_rows
from app.instruments.models import InstrumentAliasRow, InstrumentRow
from app.instruments.rules import Instrument, InstrumentKey, get_unlisted_terms
from app.money import format_fixed
from app.timestamps import Timestamp, format_timestamp

_TABLE = cast("Table", InstrumentRow.__table__)
_ALIASES = cast("Table", InstrumentAliasRow.__table__)
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
    "sector",
)


class StoredInstrument(NamedTuple):
    """An instrument, and the time its terms were set."""

    terms: Instrument
    updated_at: Timestamp


def load_instruments(
    connection: Connection, keys: Sequence[InstrumentKey]
) -> dict[InstrumentKey, Instrument]:
    """Return the instrument of every, including unlisted ones."""
    matching_rows = load_matching_rows(connection, _TABLE, _KEY + _TERMS, _KEY, keys)
    listed_instruments = {
        InstrumentKey(tenant_id, symbol): _build_known_instrument((symbol, *terms))
        for tenant_id, symbol, *terms in matching_rows
    }
    return {key: listed_instruments.get(key) or get_unlisted_terms(key.symbol) for key in keys}


def load_symbols_by_alias(connection: Connection, keys: Sequence[InstrumentKey]) -> dict[InstrumentKey, str]:
    """Return the symbol of the instrument for each key whose symbol is an alias."""
    columns, key = ("tenant_id", "alias", "symbol"), ("tenant_id", "alias")
    matching_rows = load_matching_rows(connection, _ALIASES, columns, key, keys)
    return {InstrumentKey(tenant_id, alias): symbol for tenant_id, alias, symbol in matching_rows}


def load_symbol(connection: Connection, tenant_id: int, symbol: str) -> str:
    """Return the symbol of the instrument with that symbol or alias."""
    key = InstrumentKey(tenant_id, symbol)
    return load_symbols_by_alias(connection, [key]).get(key, symbol)


def load_aliases(
    connection: Connection, keys: Sequence[InstrumentKey]
) -> dict[InstrumentKey, tuple[str, ...]]:
    """Return the sorted aliases of every instrument."""
    columns = ("tenant_id", "symbol", "alias")
    matching_rows = sorted(load_matching_rows(connection, _ALIASES, columns, _KEY, keys))
    return {
        key: tuple(alias for tenant_id, symbol, alias in matching_rows if (tenant_id, symbol) == key)
        for key in keys
    }


def replace_aliases(connection: Connection, key: InstrumentKey, aliases: Sequence[str]) -> None:
    """Replace the aliases of an instrument."""
    row = InstrumentAliasRow
    connection.execute(delete(row).where(row.tenant_id == key.tenant_id, row.symbol == key.symbol))
    execute_writes(
        connection,
        build_insert(
            _ALIASES,
            ("tenant_id", "alias", "symbol"),
            [(key.tenant_id, alias, key.symbol) for alias in aliases],
        ),
    )


def list_instruments(
    connection: Connection, tenant_id: int, part: str, limit: int, after: str | None
) -> list[Instrument]:
    """Return the listed instruments whose symbol, alias or name contains `part`, ignoring case.

    They are sorted by symbol and start after `after`.
    """
    row, other = InstrumentRow, InstrumentAliasRow
    columns = [_TABLE.c[name] for name in ("symbol", *_TERMS)]
    query = select(*columns).where(row.tenant_id == tenant_id).order_by(row.symbol).limit(limit)
    if part:
        aliased = select(other.symbol).where(
            other.tenant_id == tenant_id, other.alias.contains(part.upper(), autoescape=True)
        )
        in_symbol = row.symbol.contains(part.upper(), autoescape=True)
        in_name = func.lower(row.name).contains(part.lower(), autoescape=True)
        as_written = row.name.contains(part, autoescape=True)  # SQLite only folds the case of ASCII letters
        query = query.where(in_symbol | row.symbol.in_(aliased) | in_name | as_written)
    if after is not None:
        query = query.where(row.symbol > after)
    return [_build_instrument(tuple(row)) for row in connection.execute(query)]


def load_all_instruments(connection: Connection) -> dict[InstrumentKey, StoredInstrument]:
    """Return every listed instrument by tenant and symbol, with the time its terms were set."""
    columns = [_TABLE.c[name] for name in (*_KEY, *_TERMS, "updated_at")]
    rows = map(tuple, connection.execute(select(*columns)))
    return {
        InstrumentKey(tenant_id, symbol): StoredInstrument(
            _build_instrument((symbol, *terms)), convert_instant(updated_at)
        )
        for tenant_id, symbol, *terms, updated_at in rows
    }


def set_terms(connection: Connection, tenant_id: int, terms: Instrument, at: datetime) -> None:
    """Set the terms of a symbol."""
    set_all_terms(connection, tenant_id, [terms], at)


def set_all_terms(
    connection: Connection, tenant_id: int, instruments: Sequence[Instrument], at: datetime
) -> None:
    """Set the terms of many symbols."""
    rows = [_build_row(tenant_id, terms, at) for terms in instruments]
    execute_writes(connection, build_upsert(_TABLE, (*_KEY, *_TERMS, "updated_at"), _KEY, rows))


def _build_row(tenant_id: int, terms: Instrument, at: datetime) -> tuple[Any, ...]:
    kind = (terms.exchange, terms.asset_class, terms.currency)
    steps = (format_fixed(terms.tick_size), format_fixed(terms.lot_size))
    trading_flags = (terms.is_tradable, terms.is_restricted)
    return (
        tenant_id,
        terms.symbol,
        *kind,
        *steps,
        *trading_flags,
        terms.name,
        terms.sector,
        format_timestamp(at),
    )


@lru_cache(maxsize=4096)  # as in `get_unlisted_terms`
def _build_known_instrument(row: tuple[Any, ...]) -> Instrument:
    return _build_instrument(row)


def _build_instrument(row: Sequence[Any]) -> Instrument:
    """Return the instrument of a row. PostgreSQL returns decimals and booleans, SQLite text and numbers."""
    symbol, exchange, asset_class, currency, tick, lot, tradable, restricted, name, sector = row
    steps = (Decimal(tick), Decimal(lot))
    trading_flags = (bool(tradable), bool(restricted))
    kind = (exchange, asset_class, currency)
    return Instrument(symbol, *kind, *steps, *trading_flags, is_listed=True, name=name, sector=sector)
