"""Setting limits."""

from typing import NamedTuple

import orjson
from sqlalchemy import Connection

from app.database import write
from app.database.bulk import Write
from app.events.service import new_events
from app.money import fixed
from app.risk.queries import limits as queries
from app.risk.rules.limits import SetLimit


class LimitChange(NamedTuple):
    """A limit as it was and as it is; None where none was, or none is, set."""

    before: SetLimit | None
    after: SetLimit | None


def set_limit(connection: Connection, tenant_id: int, limit: SetLimit) -> LimitChange:
    """Set a limit and tell of it in the same transaction."""
    before = queries.find_limit(connection, tenant_id, limit)
    change = LimitChange(before, limit)
    write(connection, queries.stored_limit(tenant_id, limit), _event(tenant_id, limit, change))
    return change


def drop_limit(connection: Connection, tenant_id: int, place: SetLimit) -> LimitChange:
    """Take a limit away, so that the next less specific one holds; `place` says which, by whom and when."""
    before = queries.find_limit(connection, tenant_id, place._replace(until=None))
    change = LimitChange(before, None)
    if queries.remove_limit(connection, tenant_id, place):
        write(connection, _event(tenant_id, place, change))
    return change


def _event(tenant_id: int, limit: SetLimit, change: LimitChange) -> Write:
    facts = {
        "scope": limit.scope,
        "name": limit.name or None,
        "code": limit.code,
        "before": _told(change.before),
        "after": _told(change.after),
        "set_by": limit.set_by,
    }
    return new_events([(tenant_id, "limit.changed", orjson.dumps(facts).decode(), limit.set_at)])


def _told(limit: SetLimit | None) -> dict[str, str | None] | None:
    return None if limit is None else {"value": limit.words or fixed(limit.value), "until": limit.until}
