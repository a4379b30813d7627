"""Setting limits."""

from typing import NamedTuple

import orjson
from sqlalchemy import Connection

from app.database import write
from app.database.bulk import Write
from app.events.service import build_event_insert
from app.instruments.queries import find_symbol, find_symbols_by_alias
from app.money import fixed
from app.risk.errors import TooManySet
from app.risk.queries import limits as queries
from app.risk.rules.limits import LimitCode, LimitScope, SetLimit

MOST_LIMITS = 5_000  # of a tenant
MOST_CHARACTERS = 200_000  # of its lists together


class LimitChange(NamedTuple):
    """A limit as it was and as it is; None where none was, or none is, set."""

    before: SetLimit | None
    after: SetLimit | None


def set_limit(connection: Connection, tenant_id: int, limit: SetLimit) -> LimitChange:
    """Set a limit and tell of it in the same transaction. Raises TooManySet."""
    others, characters = queries.amount_of_others(connection, tenant_id, limit)
    if others >= MOST_LIMITS:
        raise TooManySet(f"There may be at most {MOST_LIMITS:,} limits: take some away.")
    if limit.words and characters + len(limit.words) > MOST_CHARACTERS:
        raise TooManySet(f"All lists together may have at most {MOST_CHARACTERS:,} characters.")
    before = queries.find_limit(connection, tenant_id, limit)
    change = LimitChange(before, limit)
    write(connection, queries.stored_limit(tenant_id, limit), _event(tenant_id, limit, change))
    return change


def drop_limit(connection: Connection, tenant_id: int, place: SetLimit) -> LimitChange:
    """Take a limit away, so that the others that match hold; `place` says which, by whom and when."""
    lasting, ending = (place._replace(until=until) for until in (None, place.set_at))
    before = queries.find_limit(connection, tenant_id, lasting)
    change = LimitChange(before or queries.find_limit(connection, tenant_id, ending), None)
    if queries.remove_limit(connection, tenant_id, place):
        write(connection, _event(tenant_id, place, change))
    return change


def _event(tenant_id: int, limit: SetLimit, change: LimitChange) -> Write:
    facts = {
        "scope": limit.scope,
        "name": limit.name or None,
        "code": limit.code,
        "before": limit_facts(change.before),
        "after": limit_facts(change.after),
        "set_by": limit.set_by,
    }
    return build_event_insert([(tenant_id, "limit.changed", orjson.dumps(facts).decode(), limit.set_at)])


def limit_facts(limit: SetLimit | None) -> dict[str, str | None] | None:
    """Return what trail and events are told of a limit as it was, or is."""
    return None if limit is None else {"value": limit.words or fixed(limit.value), "until": limit.until}


def name_instruments(connection: Connection, tenant_id: int, limit: SetLimit) -> SetLimit:
    """Return the limit with aliases of instruments replaced by their symbols."""
    if limit.scope is LimitScope.INSTRUMENT:
        symbol = find_symbol(connection, tenant_id, limit.key)
        return limit._replace(key=symbol, name=symbol)
    if limit.code is not LimitCode.ALLOWED_SYMBOLS or not limit.words:
        return limit
    words = limit.words.split(",")
    symbols = find_symbols_by_alias(connection, [(tenant_id, word) for word in words])
    named = {symbols.get((tenant_id, word), word) for word in words}
    return limit._replace(words=",".join(sorted(named)))
