"""Connections, column types and bulk statements, without business logic."""

from app.database.base import METADATA, Base, build_partial_index
from app.database.bulk import (
    build_insert,
    build_insert_missing,
    build_update,
    build_upsert,
    execute_writes,
    load_matching_rows,
)
from app.database.engine import connect_engine, normalize_url, require_safe_durability
from app.database.plans import forbid_full_sorts
from app.database.readers import Readers
from app.database.records import RecordTable
from app.database.tenants import set_all_tenants_scope, set_tenant_scope
from app.database.types import Amount, Instant, Serial
from app.database.unit_of_work import ALL_TENANTS, snapshot, unit_of_work

__all__ = [
    "ALL_TENANTS",
    "METADATA",
    "Amount",
    "Base",
    "Instant",
    "Readers",
    "RecordTable",
    "Serial",
    "build_insert",
    "build_insert_missing",
    "build_partial_index",
    "build_update",
    "build_upsert",
    "connect_engine",
    "execute_writes",
    "forbid_full_sorts",
    "load_matching_rows",
    "normalize_url",
    "require_safe_durability",
    "set_all_tenants_scope",
    "set_tenant_scope",
    "snapshot",
    "unit_of_work",
]
