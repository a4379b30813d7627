"""Writes to the outbox."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, cast

import orjson
from sqlalchemy import Connection, Table

from app.database import build_insert, execute_writes
from app.database.bulk import BulkRow, BulkWrite
from app.events.models import Event
from app.events.rules import NewEvent, PackedEvents, pack_outbox_events
from app.timestamps import format_timestamp

_OUTBOX_COLUMNS = PackedEvents._fields


def build_event_insert(rows: Sequence[BulkRow]) -> BulkWrite:
    """Insert events, each (tenant id, type, payload as JSON text, time as text).

    Another write of the same transaction must precede it: see `rules`.
    """
    return build_insert(cast("Table", Event.__table__), _OUTBOX_COLUMNS[:4], rows)


def publish_event(
    connection: Connection, tenant_id: int, event_type: str, payload: Mapping[str, Any], now: datetime
) -> None:
    """Insert one event; as `build_event_insert`."""
    row = (tenant_id, event_type, orjson.dumps(payload).decode(), format_timestamp(now))
    execute_writes(connection, build_event_insert([row]))


def build_packed_insert(events: Sequence[NewEvent]) -> BulkWrite:
    """Insert events in few rows; as `build_event_insert`."""
    return build_insert(cast("Table", Event.__table__), _OUTBOX_COLUMNS, pack_outbox_events(events))
