"""Statements about mark overrides, the marks that persons set. Each one filters by tenant."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from decimal import Decimal
from typing import cast

from sqlalchemy import Connection, Table, delete, select

from app.column_values import parse_instant
from app.database import build_upsert, load_matching_rows
from app.database.bulk import BulkWrite
from app.instruments.rules import InstrumentKey
from app.market_data.models import MarkOverrideRow
from app.market_data.rules.values import MarkOverride
from app.money import format_fixed
from app.timestamps import format_timestamp

_OVERRIDES = cast("Table", MarkOverrideRow.__table__)
_KEY = ("tenant_id", "symbol")
_VALUE_COLUMNS = ("price", "reason", "set_by", "set_at", "expires_at")
_COLUMNS = [_OVERRIDES.c[name] for name in MarkOverride._fields]


def load_mark_overrides(
    connection: Connection, keys: Sequence[InstrumentKey], at: datetime
) -> dict[InstrumentKey, MarkOverride]:
    """Return the overrides in force at an instant, by instrument."""
    overrides = {}
    for row in load_matching_rows(connection, _OVERRIDES, _KEY + _VALUE_COLUMNS, _KEY, keys):
        tenant_id, symbol, price, reason, set_by, *times = row
        override = MarkOverride(symbol, Decimal(price), reason, set_by, *map(parse_instant, times))
        if override.set_at <= at < override.expires_at:
            overrides[InstrumentKey(tenant_id, symbol)] = override
    return overrides


def list_mark_overrides(
    connection: Connection, tenant_id: int, at: datetime, limit: int, after: str | None
) -> list[MarkOverride]:
    """Return the overrides of a tenant that are in force, by symbol after `after`."""
    query = select(*_COLUMNS).where(_OVERRIDES.c.tenant_id == tenant_id, _OVERRIDES.c.expires_at > at)
    if after is not None:
        query = query.where(_OVERRIDES.c.symbol > after)
    rows = connection.execute(query.order_by(_OVERRIDES.c.symbol).limit(limit))
    return [MarkOverride._make(row) for row in rows]


def list_all_mark_overrides(connection: Connection) -> Iterator[tuple[int, MarkOverride]]:
    """Yield the overrides of every tenant that `connection` sees, with its id, expired ones too."""
    for tenant_id, *values in connection.execute(select(_OVERRIDES.c.tenant_id, *_COLUMNS)):
        yield tenant_id, MarkOverride._make(values)


def build_mark_override_upsert(tenant_id: int, override: MarkOverride) -> BulkWrite:
    """Return the statement that stores an override. It replaces the earlier override of the symbol."""
    price, reason, set_by = format_fixed(override.price), override.reason, override.set_by
    row = (
        tenant_id,
        override.symbol,
        price,
        reason,
        set_by,
        format_timestamp(override.set_at),
        format_timestamp(override.expires_at),
    )
    return build_upsert(_OVERRIDES, _KEY + _VALUE_COLUMNS, _KEY, [row])


def delete_mark_override(connection: Connection, key: InstrumentKey) -> None:
    """Delete the override of a symbol."""
    is_own = (_OVERRIDES.c.tenant_id == key.tenant_id, _OVERRIDES.c.symbol == key.symbol)
    connection.execute(delete(_OVERRIDES).where(*is_own))
