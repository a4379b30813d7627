"""Set and remove limits."""

from typing import NamedTuple

import orjson
from sqlalchemy import Connection

from app.database import execute_writes
from app.database.bulk import BulkWrite
from app.events.service.outbox import build_event_insert
from app.instruments.queries import load_symbol, load_symbols_by_alias
from app.instruments.rules import InstrumentKey
from app.money import format_fixed
from app.risk.errors import TooManyControls
from app.risk.queries import limits as queries
from app.risk.rules.limits import LimitCode, LimitScope, RiskLimit

MAX_LIMITS = 5_000  # per tenant
MAX_CHARACTERS = 200_000  # of all lists of a tenant


class LimitChange(NamedTuple):
    """A limit before and after a change, None if it is not set."""

    before: RiskLimit | None
    after: RiskLimit | None


def set_limit(connection: Connection, tenant_id: int, limit: RiskLimit) -> LimitChange:
    """Set a limit and publish an event in the same transaction. Raises TooManyControls."""
    other_limits, characters = queries.count_other_limits(connection, tenant_id, limit)
    if other_limits >= MAX_LIMITS:
        raise TooManyControls(f"A tenant has at most {MAX_LIMITS:,} limits; remove some first.")
    if limit.allowed_values and characters + len(limit.allowed_values) > MAX_CHARACTERS:
        raise TooManyControls(
            f"The lists of a tenant have at most {MAX_CHARACTERS:,} characters together; shorten some."
        )
    before = queries.find_limit(connection, tenant_id, limit)
    change = LimitChange(before, limit)
    execute_writes(
        connection, queries.build_limit_upsert(tenant_id, limit), _build_event(tenant_id, limit, change)
    )
    return change


def remove_limit(connection: Connection, tenant_id: int, limit: RiskLimit) -> LimitChange:
    """Remove a limit, so that other matching limits apply. `limit` has its key, the actor and the time."""
    permanent_limit, temporary_limit = (limit._replace(until=until) for until in (None, limit.set_at))
    before = queries.find_limit(connection, tenant_id, permanent_limit)
    change = LimitChange(before or queries.find_limit(connection, tenant_id, temporary_limit), None)
    if queries.delete_limit(connection, tenant_id, limit):
        execute_writes(connection, _build_event(tenant_id, limit, change))
    return change


def _build_event(tenant_id: int, limit: RiskLimit, change: LimitChange) -> BulkWrite:
    fields = {
        "scope": limit.scope,
        "name": limit.name or None,
        "code": limit.code,
        "before": serialize_limit_values(change.before),
        "after": serialize_limit_values(change.after),
        "set_by": limit.set_by,
    }
    return build_event_insert([(tenant_id, "limit.changed", orjson.dumps(fields).decode(), limit.set_at)])


def serialize_limit_values(limit: RiskLimit | None) -> dict[str, str | None] | None:
    """Return the values of a limit for audit entries and events, None if it is not set."""
    return (
        None
        if limit is None
        else {"value": limit.allowed_values or format_fixed(limit.value), "until": limit.until}
    )


def resolve_limit_symbols(connection: Connection, tenant_id: int, limit: RiskLimit) -> RiskLimit:
    """Return the limit with instrument aliases replaced by symbols."""
    if limit.scope is LimitScope.INSTRUMENT:
        symbol = load_symbol(connection, tenant_id, limit.key)
        return limit._replace(key=symbol, name=symbol)
    if limit.code is not LimitCode.ALLOWED_SYMBOLS or not limit.allowed_values:
        return limit
    keys = [InstrumentKey(tenant_id, word) for word in limit.allowed_values.split(",")]
    symbols = load_symbols_by_alias(connection, keys)
    symbols_in_use = {symbols.get(key, key.symbol) for key in keys}
    return limit._replace(allowed_values=",".join(sorted(symbols_in_use)))
