"""Setting the terms of instruments."""

from collections.abc import Callable, Collection
from datetime import datetime

from sqlalchemy import Connection

from app.instruments import queries
from app.instruments.errors import CurrencyInUse
from app.instruments.rules import Instrument, currency_for

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
