"""Stored idempotency keys of administrators' requests."""

from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, insert

from app.database import RecordTable
from app.identity.models import AdminRequest


class StoredRequest(NamedTuple):
    """The request executed under a key. `answer` is None if the response held a secret."""

    request_hash: str
    status: int
    answer: str | None
    created_at: datetime


_REQUESTS = RecordTable(AdminRequest, StoredRequest)


def find_request(connection: Connection, tenant_id: int, operation: str, key: str) -> StoredRequest | None:
    """Return the request stored under the key."""
    return _REQUESTS.find(connection, tenant_id=tenant_id, operation=operation, idempotency_key=key)


def store_request_key(
    connection: Connection, tenant_id: int, operation: str, key: str, stored: StoredRequest
) -> None:
    """Store the request under the key."""
    request_key = {"tenant_id": tenant_id, "operation": operation, "idempotency_key": key}
    connection.execute(insert(AdminRequest).values(**request_key, **stored._asdict()))
