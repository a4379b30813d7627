"""Writing to the outbox."""

from collections.abc import Sequence
from typing import cast

from sqlalchemy import Connection, Table

from app.database import insert_rows
from app.database.bulk import Row
from app.events.models import Event

_COLUMNS = ("tenant_id", "type", "payload", "created_at")


def record_events(connection: Connection, rows: Sequence[Row]) -> None:
    """Write events, each (tenant id, type, payload as JSON text, instant as text), into the caller's
    transaction.
    """
    insert_rows(connection, cast("Table", Event.__table__), _COLUMNS, rows)
