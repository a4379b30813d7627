"""Writes to the outbox."""

from collections.abc import Sequence
from typing import cast

from sqlalchemy import Table

from app.database import build_insert
from app.database.bulk import BulkWrite, Row
from app.events.models import Event
from app.events.rules import NewEvent, PackedEvents, pack_outbox_events

_COLUMNS = PackedEvents._fields


def build_event_insert(rows: Sequence[Row]) -> BulkWrite:
    """Insert events, each (tenant id, type, payload as JSON text, time as text).

    Another write of the same transaction must precede it: see `rules`.
    """
    return build_insert(cast("Table", Event.__table__), _COLUMNS[:4], rows)


def build_packed_insert(events: Sequence[NewEvent]) -> BulkWrite:
    """Insert events in few rows; as `build_event_insert`."""
    return build_insert(cast("Table", Event.__table__), _COLUMNS, pack_outbox_events(events))
