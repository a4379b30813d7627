"""Writes to the outbox."""

from collections.abc import Sequence
from typing import cast

from sqlalchemy import Table

from app.database import build_insert
from app.database.bulk import Row, Write
from app.events.models import Event

_COLUMNS = ("tenant_id", "type", "payload", "created_at")


def build_event_insert(rows: Sequence[Row]) -> Write:
    """Insert events, each (tenant id, type, payload as JSON text, time as text).

    Another write of the same transaction must precede it: see `rules`.
    """
    return build_insert(cast("Table", Event.__table__), _COLUMNS, rows)
