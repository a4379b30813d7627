"""Writes to the outbox."""

from collections.abc import Sequence
from typing import cast

from sqlalchemy import Table

from app.database import insertion
from app.database.bulk import Row, Write
from app.events.models import Event

_COLUMNS = ("tenant_id", "type", "payload", "created_at")


def new_events(rows: Sequence[Row]) -> Write:
    """Insert events, each (tenant id, type, payload as JSON text, time as text).

    Another write of the same transaction must precede it: see `rules`.
    """
    return insertion(cast("Table", Event.__table__), _COLUMNS, rows)
