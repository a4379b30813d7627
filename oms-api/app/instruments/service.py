"""Setting the terms of instruments."""

from collections.abc import Callable, Collection, Iterator
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from app.audit.queries.trail import acts_of
from app.audit.rules.acts import Difference, find_differences
from app.instruments import queries
from app.instruments.errors import CurrencyInUse
from app.instruments.rules import Instrument, currency_for
from app.money import fixed, quantity_text

# Tenant id and symbol to the currencies of the portfolios in which a position or an open order stands.
Standing = Callable[[Connection, int, str], Collection[str]]


def set_terms(
    connection: Connection, tenant_id: int, terms: Instrument, standing: Standing, at: datetime
) -> Instrument:
    """Set the terms of a symbol, and return those before. Raises CurrencyInUse where it is traded in another
    currency by them, and something stands in it.
    """
    key = (tenant_id, terms.symbol)
    known = queries.instruments_for(connection, [key])[key]
    for base in sorted(standing(connection, *key)):
        before, after = currency_for(known, base), currency_for(terms, base)
        if before != after:
            raise CurrencyInUse(terms.symbol, before, after)
    queries.set_terms(connection, tenant_id, terms, at)
    return known


def verify_instruments(connection: Connection) -> Iterator[Difference]:
    """Yield where the terms of a symbol are not those that the audit log says were set last."""
    stored = queries.all_instruments(connection)
    expected = {(act.tenant_id, act.target): act for act in acts_of(connection, "instrument.set")}
    for (tenant_id, symbol), act in expected.items():
        place = f"instrument {symbol} of tenant {tenant_id}"
        found = stored.get((tenant_id, symbol))
        if found is None:
            yield Difference(place, "row", "none", "a row, as the audit log says")
        else:
            yield from find_differences(place, _facts(*found), act.after | {"updated_at": act.at})


def _facts(terms: Instrument, updated_at: str) -> dict[str, Any]:
    """Return what the audit log says of an instrument; see `schemas.instrument_out`."""
    steps = {name: quantity_text(fixed(getattr(terms, name))) for name in ("tick_size", "lot_size")}
    kind = {name: getattr(terms, name) for name in ("symbol", "exchange", "asset_class", "currency")}
    flags = {"tradable": terms.is_tradable, "restricted": terms.is_restricted, "listed": terms.is_listed}
    return {**kind, **steps, **flags, "updated_at": updated_at}
