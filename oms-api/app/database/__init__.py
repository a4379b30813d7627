"""Connections, column types and bulk statements, without business logic."""

from app.database.base import METADATA, Base
from app.database.bulk import (
    alteration,
    insertion,
    insertion_of_missing,
    matching_rows,
    upsertion,
    write,
)
from app.database.engine import connect_engine, normalise_url, refuse_unsafe_durability
from app.database.readers import Readers
from app.database.tenants import declare_every_tenant, declare_tenants
from app.database.types import Amount, Instant, Serial
from app.database.unit_of_work import snapshot, unit_of_work

__all__ = [
    "METADATA",
    "Amount",
    "Base",
    "Instant",
    "Readers",
    "Serial",
    "alteration",
    "connect_engine",
    "declare_every_tenant",
    "declare_tenants",
    "insertion",
    "insertion_of_missing",
    "matching_rows",
    "normalise_url",
    "refuse_unsafe_durability",
    "snapshot",
    "unit_of_work",
    "upsertion",
    "write",
]
