"""Statements about quotes. Each one filters by tenant."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, cast

from sqlalchemy import Connection, Table, select

from app.column_values import convert_instant, parse_decimal, parse_instant
from app.database import build_insert, build_update, build_upsert, load_matching_rows
from app.database.bulk import BulkRow, BulkWrite
from app.instruments.rules import InstrumentKey
from app.market_data.models import QuoteRow, TickRow
from app.market_data.rules.values import Quote
from app.money import format_optional_fixed
from app.timestamps import Timestamp, format_timestamp

_QUOTES = cast("Table", QuoteRow.__table__)
_TICKS = cast("Table", TickRow.__table__)
_KEY = ("tenant_id", "symbol")
QUOTE_COLUMNS = ("bid", "ask", "last", "bid_size", "ask_size", "at", "source")


def load_quotes(connection: Connection, keys: Sequence[InstrumentKey]) -> dict[InstrumentKey, Quote]:
    """Return the stored quotes of instruments. An instrument without a quote is left out."""
    matching_rows = load_matching_rows(connection, _QUOTES, _KEY + QUOTE_COLUMNS, _KEY, keys)
    return {InstrumentKey(*row[:2]): _build_quote(row) for row in matching_rows}


def load_unmatched_quote_times(
    connection: Connection, keys: Sequence[InstrumentKey]
) -> dict[InstrumentKey, Timestamp]:
    """Return the times since which instruments have a quote that is not matched yet."""
    matching_rows = load_matching_rows(connection, _QUOTES, (*_KEY, "unmatched_since"), _KEY, keys)
    return {
        InstrumentKey(tenant_id, symbol): convert_instant(since)
        for tenant_id, symbol, since in matching_rows
        if since is not None
    }


def lock_quotes(connection: Connection, keys: Sequence[InstrumentKey]) -> set[InstrumentKey]:
    """Lock the quotes of the instruments, and return the instruments whose quote is not matched yet."""
    symbols: dict[int, list[str]] = {}
    for tenant_id, symbol in sorted(keys):
        symbols.setdefault(tenant_id, []).append(symbol)
    unmatched = set()
    for tenant_id, names in symbols.items():
        statement = select(_QUOTES.c.symbol, _QUOTES.c.unmatched_since).where(
            _QUOTES.c.tenant_id == tenant_id, _QUOTES.c.symbol.in_(names)
        )
        locked_rows = connection.execute(statement.order_by(_QUOTES.c.symbol).with_for_update())
        unmatched |= {InstrumentKey(tenant_id, symbol) for symbol, since in locked_rows if since is not None}
    return unmatched


def list_unmatched_quotes(connection: Connection, until: datetime) -> list[InstrumentKey]:
    """Return the instruments whose quotes have waited for a match since `until` or before.

    They are of every tenant that `connection` sees.
    """
    statement = select(_QUOTES.c.tenant_id, _QUOTES.c.symbol).where(
        _QUOTES.c.unmatched_since.is_not(None), _QUOTES.c.unmatched_since <= until
    )
    return [InstrumentKey(*row) for row in connection.execute(statement)]


def list_tenants_with_unmatched_quotes(connection: Connection, tenant_ids: Collection[int]) -> set[int]:
    """Return the tenants that have a quote that is not matched yet."""
    statement = select(_QUOTES.c.tenant_id).where(
        _QUOTES.c.unmatched_since.is_not(None), _QUOTES.c.tenant_id.in_(tenant_ids)
    )
    return set(connection.execute(statement).scalars())


def build_matched_write(key: InstrumentKey, since: str) -> BulkWrite:
    """Return the write that ends the wait of a quote, if it is still the quote that has waited since then."""
    return build_update(_QUOTES, ("unmatched_since",), (*_KEY, "unmatched_since"), [(None, *key, since)])


def build_quote_writes(
    arrived: Sequence[tuple[int, Quote]], unmatched: Mapping[InstrumentKey, str]
) -> list[BulkWrite]:
    """Return the writes that store quotes, each (tenant id, quote), in order of arrival.

    They store the latest quote of each symbol, and all as ticks. `unmatched` are times of arrival of quotes
    that still have to be matched.
    """
    newest = {InstrumentKey(tenant_id, quote.symbol): quote for tenant_id, quote in arrived}
    return [
        build_upsert(
            _QUOTES,
            (*_KEY, *QUOTE_COLUMNS, "unmatched_since"),
            _KEY,
            [(*_serialize_quote(key, newest[key]), unmatched.get(key)) for key in sorted(newest)],
        ),
        build_insert(
            _TICKS,
            (*_KEY, *QUOTE_COLUMNS),
            [_serialize_quote(InstrumentKey(tenant_id, quote.symbol), quote) for tenant_id, quote in arrived],
        ),
    ]


def build_quote_restatement(key: InstrumentKey, quote: Quote) -> list[BulkWrite]:
    """Return the writes that replace the stored quote of an instrument, and add a tick of it.

    Earlier ticks and bars stay. Whether a quote still has to be matched does not change.
    """
    row, columns = _serialize_quote(key, quote), (*_KEY, *QUOTE_COLUMNS)
    return [build_upsert(_QUOTES, columns, _KEY, [row]), build_insert(_TICKS, columns, [row])]


def list_quoted_symbols(connection: Connection, since: datetime) -> list[InstrumentKey]:
    """Return the instruments whose stored quotes arrived at `since` or later."""
    statement = select(_QUOTES.c.tenant_id, _QUOTES.c.symbol).where(_QUOTES.c.at >= since)
    rows = connection.execute(statement.order_by(_QUOTES.c.tenant_id, _QUOTES.c.symbol))
    return [InstrumentKey(*row) for row in rows]


def _serialize_quote(key: InstrumentKey, quote: Quote) -> BulkRow:
    prices = _format_amounts((quote.bid, quote.ask, quote.last, quote.bid_size, quote.ask_size))
    return (*key, *prices, format_timestamp(quote.at), quote.source)


def _build_quote(row: Sequence[Any]) -> Quote:
    _, symbol, *amounts, at, source = row
    return Quote._make((symbol, *map(parse_decimal, amounts), parse_instant(at), source))


def _format_amounts(amounts: Sequence[Any]) -> list[str | None]:
    return [format_optional_fixed(amount) for amount in amounts]
