"""Read and write limits."""

from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any, cast

from sqlalchemy import Connection, Select, Table, and_, delete, func, select

from app.column_values import convert_instant
from app.database import build_upsert, load_matching_rows
from app.database.bulk import BulkWrite
from app.money import format_fixed
from app.risk.models import LimitRow
from app.risk.rules.limits import LimitCode, LimitScope, RiskLimit

LIMITS = cast("Table", LimitRow.__table__)
_KEY = ("tenant_id", "scope", "name_key", "code", "is_temporary")
_COLUMNS = ("scope", "name_key", "name", "code", "value", "until", "set_by", "set_at", "words")


def select_limits(tenant_id: int) -> Select[Any]:
    """Return the query of the tenant's limits, for other queries to extend."""
    columns = (getattr(LimitRow, name) for name in _COLUMNS)
    return select(*columns).where(LimitRow.tenant_id == tenant_id)


def list_limits(connection: Connection, tenant_id: int) -> list[RiskLimit]:
    """Return all limits by scope, name and code, including expired ones."""
    order = (LimitRow.scope, LimitRow.name_key, LimitRow.code, LimitRow.is_temporary)
    return [_parse_limit(row) for row in connection.execute(select_limits(tenant_id).order_by(*order))]


def load_limits(connection: Connection, tenant_ids: Iterable[int]) -> dict[int, list[RiskLimit]]:
    """Return the limits by tenant, by one statement."""
    ids = sorted(set(tenant_ids))
    limits: dict[int, list[RiskLimit]] = {tenant_id: [] for tenant_id in ids}
    keys = [(tenant_id,) for tenant_id in ids]
    for tenant_id, *row in load_matching_rows(
        connection, LIMITS, ("tenant_id", *_COLUMNS), ("tenant_id",), keys
    ):
        limits[tenant_id].append(_parse_limit(row))
    return limits


def has_limits(connection: Connection, tenant_id: int) -> bool:
    """Return whether a limit of the tenant is set or of one of its portfolios that does not expire."""
    holds = (LimitRow.scope.in_((LimitScope.TENANT, LimitScope.PORTFOLIO)), LimitRow.is_temporary == 0)
    statement = select(LimitRow.code).where(LimitRow.tenant_id == tenant_id, *holds)
    return connection.execute(statement.limit(1)).first() is not None


def find_limit(connection: Connection, tenant_id: int, limit: RiskLimit) -> RiskLimit | None:
    """Return the limit with the same scope, name and code, temporary or permanent as `limit` is."""
    row = connection.execute(select_limits(tenant_id).where(*_build_key_conditions(limit))).one_or_none()
    return _parse_limit(row) if row else None


def count_other_limits(connection: Connection, tenant_id: int, limit: RiskLimit) -> tuple[int, int]:
    """Return the number of the tenant's other limits, and the number of characters in their lists."""
    counts = (func.count(), func.coalesce(func.sum(func.length(LimitRow.words)), 0))
    statement = select(*counts).where(LimitRow.tenant_id == tenant_id, ~and_(*_build_key_conditions(limit)))
    limits, characters = connection.execute(statement).one()
    return int(limits), int(characters)


def build_limit_upsert(tenant_id: int, limit: RiskLimit) -> BulkWrite:
    """Return the statement that inserts or updates a limit."""
    key_values = (tenant_id, *limit[:2], limit.code, int(limit.until is not None))
    values = (
        limit.name,
        format_fixed(limit.value),
        limit.until,
        limit.set_by,
        limit.set_at,
        limit.allowed_values,
    )
    names = ("name", "value", "until", "set_by", "set_at", "words")
    return build_upsert(LIMITS, _KEY + names, _KEY, [(*key_values, *values)])


def delete_limit(connection: Connection, tenant_id: int, limit: RiskLimit) -> bool:
    """Delete a limit, temporary and permanent. Return False if there was none."""
    is_limit = (LimitRow.scope == limit.scope, LimitRow.name_key == limit.key, LimitRow.code == limit.code)
    removed = connection.execute(delete(LimitRow).where(LimitRow.tenant_id == tenant_id, *is_limit))
    return removed.rowcount > 0


def _build_key_conditions(limit: RiskLimit) -> tuple[Any, ...]:
    return (
        LimitRow.scope == limit.scope,
        LimitRow.name_key == limit.key,
        LimitRow.code == limit.code,
        LimitRow.is_temporary == int(limit.until is not None),
    )


def _parse_limit(row: Sequence[Any]) -> RiskLimit:
    """Return the limit of a row. Values are decimals and datetimes from PostgreSQL, text from SQLite."""
    scope, key, name, code, value, until, set_by, set_at, allowed_values = row
    return RiskLimit(
        scope=LimitScope(scope),
        key=key,
        name=name,
        code=LimitCode(code),
        value=Decimal(value),
        until=convert_instant(until),
        set_by=set_by,
        set_at=convert_instant(set_at),
        allowed_values=allowed_values,
    )
