"""Connections, types and bulk statements; no business knowledge."""

from app.database.base import METADATA, Base
from app.database.bulk import insert_missing_rows, insert_rows, matching_rows, update_rows, upsert_rows
from app.database.engine import connect_engine, normalise_url, refuse_unsafe_durability
from app.database.readers import Readers
from app.database.types import Amount, Instant
from app.database.unit_of_work import snapshot, unit_of_work

__all__ = [
    "METADATA",
    "Amount",
    "Base",
    "Instant",
    "Readers",
    "connect_engine",
    "insert_missing_rows",
    "insert_rows",
    "matching_rows",
    "normalise_url",
    "refuse_unsafe_durability",
    "snapshot",
    "unit_of_work",
    "update_rows",
    "upsert_rows",
]
