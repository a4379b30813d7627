"""Statements about preferences. Each one filters by tenant."""

from datetime import datetime
from typing import Any, cast

import orjson
from sqlalchemy import ColumnElement, Connection, Table, delete, select

from app.database import build_upsert, execute_writes
from app.preferences.models import PreferencesRow
from app.timestamps import format_timestamp

_TABLE = cast("Table", PreferencesRow.__table__)
_KEY_COLUMNS = ("tenant_id", "owner")


def load_preferences(
    connection: Connection, tenant_id: int, owner: str, *, for_update: bool = False
) -> dict[str, Any]:
    """Return the fields that the owner has set."""
    statement = select(PreferencesRow.document).where(*_build_key_conditions(tenant_id, owner))
    if for_update:
        statement = statement.with_for_update()
    document = connection.execute(statement).scalar_one_or_none()
    fields: dict[str, Any] = orjson.loads(document) if document is not None else {}
    return fields


def store_preferences(
    connection: Connection, tenant_id: int, owner: str, fields: dict[str, Any], at: datetime
) -> None:
    """Store the fields that the owner has set."""
    row = (tenant_id, owner, orjson.dumps(fields).decode(), format_timestamp(at))
    execute_writes(
        connection, build_upsert(_TABLE, (*_KEY_COLUMNS, "document", "updated_at"), _KEY_COLUMNS, [row])
    )


def delete_preferences(connection: Connection, tenant_id: int, owner: str) -> None:
    """Delete the preferences of an owner."""
    connection.execute(delete(PreferencesRow).where(*_build_key_conditions(tenant_id, owner)))


def _build_key_conditions(tenant_id: int, owner: str) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    return PreferencesRow.tenant_id == tenant_id, PreferencesRow.owner == owner
