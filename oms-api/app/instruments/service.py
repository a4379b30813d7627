"""Sets the terms and aliases of instruments."""

from collections.abc import Callable, Collection, Iterator, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection

from app.audit.queries.entries import list_actions
from app.audit.rules.actions import ActionDifference, find_differences
from app.identity.queries.tenants import lock_tenant
from app.instruments import queries
from app.instruments.errors import AliasInUse, AliasTaken, CurrencyInUse
from app.instruments.rules import Instrument, InstrumentKey, get_trading_currency, list_default_aliases
from app.money import format_plain_amount
from app.timestamps import Timestamp

# Returns, for a tenant id and symbol, the currencies of the portfolios with a position or open order in it.
FindCurrencies = Callable[[Connection, int, str], Collection[str]]
# Returns, for a tenant id and symbol, whether a position, open order or limit is recorded under it.
IsInUse = Callable[[Connection, int, str], bool]


_KIND = ("symbol", "name", "exchange", "asset_class", "currency", "sector")


class Listing(NamedTuple):
    """An instrument and its aliases."""

    terms: Instrument
    aliases: tuple[str, ...] = ()


class ListingChange(NamedTuple):
    """A listing before and after a change."""

    previous: Listing
    updated: Listing


def load_listing(connection: Connection, tenant_id: int, name: str) -> Listing:
    """Return the instrument with that symbol or alias."""
    key = InstrumentKey(tenant_id, queries.load_symbol(connection, tenant_id, name))
    terms = queries.load_instruments(connection, [key])[key]
    return Listing(terms, queries.load_aliases(connection, [key])[key])


def set_terms(
    connection: Connection,
    tenant_id: int,
    terms: Instrument,
    aliases: Sequence[str] | None,
    find_currencies: FindCurrencies,
    is_in_use: IsInUse,
    at: datetime,
) -> ListingChange:
    """Set the terms of the instrument with that symbol or alias, and its aliases.

    `aliases` = None keeps them, or sets the default ones when the symbol is first listed.

    Raises CurrencyInUse if the change would alter the currency of positions or open orders, and AliasTaken or
    AliasInUse if a new alias names something else.
    """
    lock_tenant(connection, tenant_id)  # a concurrent listing of the same name waits here
    previous = load_listing(connection, tenant_id, terms.symbol)
    terms = terms._replace(symbol=previous.terms.symbol)
    key = InstrumentKey(tenant_id, terms.symbol)
    for base in sorted(find_currencies(connection, *key)):
        before, after = get_trading_currency(previous.terms, base), get_trading_currency(terms, base)
        if before != after:
            raise CurrencyInUse(terms.symbol, before, after)
    updated = Listing(terms, _resolve_aliases(connection, tenant_id, previous, terms, aliases, is_in_use))
    queries.set_terms(connection, tenant_id, terms, at)
    if updated.aliases != previous.aliases:
        queries.replace_aliases(connection, key, updated.aliases)
    return ListingChange(previous, updated)


def verify_instruments(connection: Connection) -> Iterator[ActionDifference]:
    """Yield each symbol whose terms or aliases differ from those that the audit log records as last set."""
    stored_instruments = queries.list_all_instruments(connection)
    aliases = queries.load_aliases(connection, list(stored_instruments))
    expected = {
        InstrumentKey(act.tenant_id, act.target): act for act in list_actions(connection, "instrument.set")
    }
    for key, act in expected.items():
        place = f"instrument {key.symbol} of tenant {key.tenant_id}"
        row = stored_instruments.get(key)
        if row is None:
            yield ActionDifference(place, "row", "none", "a row, as the audit log says")
        else:
            fields = _serialize_instrument(*row) | {"aliases": list(aliases[key])}
            yield from find_differences(place, fields, act.after | {"updated_at": act.at})


def _serialize_instrument(terms: Instrument, updated_at: Timestamp) -> dict[str, Any]:
    """Return the facts that the audit log records of an instrument. See `schemas.serialize_instrument`."""
    steps = {name: format_plain_amount(getattr(terms, name)) for name in ("tick_size", "lot_size")}
    kind = {name: getattr(terms, name) for name in _KIND}
    flags = {"tradable": terms.is_tradable, "restricted": terms.is_restricted, "listed": terms.is_listed}
    return {**kind, **steps, **flags, "updated_at": updated_at}


def _resolve_aliases(
    connection: Connection,
    tenant_id: int,
    previous: Listing,
    terms: Instrument,
    aliases: Sequence[str] | None,
    is_in_use: IsInUse,
) -> tuple[str, ...]:
    """Return the aliases that the instrument shall have."""
    if aliases is None and previous.terms.is_listed:
        return previous.aliases
    default_aliases = list_default_aliases(terms) if aliases is None else aliases
    owners = _find_owners(connection, tenant_id, default_aliases)
    if aliases is None:
        return tuple(
            name
            for name in default_aliases
            if name not in owners and not is_in_use(connection, tenant_id, name)
        )
    for number, alias in enumerate(aliases):
        owner = terms.symbol if alias == terms.symbol else owners.get(alias, terms.symbol)
        if alias == terms.symbol or owner != terms.symbol:
            raise AliasTaken(f"aliases.{number}", alias, owner)
        if alias not in previous.aliases and is_in_use(connection, tenant_id, alias):
            raise AliasInUse(alias)
    return tuple(sorted(set(aliases)))


def _find_owners(connection: Connection, tenant_id: int, names: Sequence[str]) -> dict[str, str]:
    """Return, by name, the symbol of its instrument. Unknown names are left out."""
    keys = [InstrumentKey(tenant_id, name) for name in names]
    instruments = queries.load_instruments(connection, keys).values()
    owners = {instrument.symbol: instrument.symbol for instrument in instruments if instrument.is_listed}
    for key, symbol in queries.load_symbols_by_alias(connection, keys).items():
        owners[key.symbol] = symbol
    return owners
