"""Executes administrators' requests once per idempotency key.

Each request and its audit entries are one transaction.
"""

import hashlib
import hmac
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple, TypeVarTuple

import orjson
from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from app.audit.rules.entries import AuditValues, InvalidAuditValues
from app.audit.service import AuditEntry, record_entries
from app.clock import Now
from app.database import set_tenant_scope
from app.database.transactions import Transactions
from app.errors import Invalid, OutcomeUnknown, Unavailable
from app.identity.errors import ConcurrentChange, RequestKeyReused, SecretNotStored
from app.identity.queries.requests import StoredRequest, find_request, store_request_key
from app.identity.queries.tenants import lock_tenant
from app.identity.rules.access import Caller
from app.identity.service.passwords import Passwords, require_strong_password


@dataclass(frozen=True, slots=True)
class ChangeRequest:
    """A request to change something: its caller, route and parameters.

    `route` is the method and the path's template, `subject` the object that the path names. `body` is the
    request as canonical JSON.
    """

    caller: Caller
    route: str
    subject: str = ""
    body: bytes = field(default=b"", repr=False)
    idempotency_key: str | None = None
    address: str | None = None
    request_id: str | None = None

    def build_audit_entry(
        self,
        at: datetime,
        action: str,
        target: str,
        before: AuditValues | None = None,
        after: AuditValues | None = None,
    ) -> AuditEntry:
        """Build an audit entry for the caller's own audit log."""
        caller = self.caller
        values = (at, caller.actor, caller.name, action, target, self.address, self.request_id, before, after)
        return AuditEntry(caller.tenant_id, *values)


class ChangeResult(NamedTuple):
    """The result of a request: its response and its audit entries, not committed yet."""

    body: dict[str, Any]
    audit_entries: Sequence[AuditEntry]
    status: int = 200
    shows_secret: bool = False


class ChangeResponse(NamedTuple):
    """The response as JSON. `replayed` is true for a repeat of an earlier request."""

    status: int
    body: bytes
    replayed: bool = False


Arguments = TypeVarTuple("Arguments")
ChangeFunction = Callable[[Connection, ChangeRequest, *Arguments, datetime], ChangeResult]


class ChangeExecutor:
    """Executes changes of tenants, users, keys and portfolios. One instance per process.

    Changes of one tenant are serialized, so that the rows that a change has read stay valid until its commit.
    `secrets` sign the fingerprints of requests, which may hold passwords; the first is the current one.
    """

    def __init__(
        self, transactions: Transactions, passwords: Passwords, secrets: Sequence[str], now: Now
    ) -> None:
        self._transactions, self._passwords, self._now = transactions, passwords, now
        keys = (secret.encode() for secret in secrets)
        self._keys = [hmac.digest(key, b"slackoms admin requests v1", hashlib.sha256) for key in keys]

    async def execute(
        self, request: ChangeRequest, change: ChangeFunction[*Arguments], *arguments: *Arguments
    ) -> ChangeResponse:
        """Execute `change(connection, request, *arguments, now)`.

        If an earlier request had the same key, return its response.
        Raises the errors of `change`; RequestKeyReused, SecretNotStored or ConcurrentChange; Unavailable if
        nothing was changed, and OutcomeUnknown if that is not known.
        """
        fingerprints = [_compute_fingerprint(key, request) for key in self._keys]
        now = self._now()
        attempt = _Attempt(
            request, lambda connection: change(connection, request, *arguments, now), fingerprints, now
        )
        try:
            return await self._run(attempt)
        except Unavailable:
            if attempt.response is None:
                raise
            raise OutcomeUnknown(
                "The database connection was lost during the commit; send it again with the same key."
            ) from None
        except InvalidAuditValues:
            raise Invalid(
                "A name looks like a secret, and the audit log would keep it; choose another name."
            ) from None

    async def hash_password(self, password: str, own: Sequence[str | None]) -> str:
        """Return the hash of a new password of a user with these names. Raises Invalid or Unavailable."""
        require_strong_password(password, [name for name in own if name])
        return await self._passwords.hash(password)

    async def _run(self, attempt: "_Attempt") -> ChangeResponse:
        try:
            return await self._transactions.run(attempt.run)
        except IntegrityError:  # a concurrent writer outside the tenant's lock was first: try again
            pass
        try:
            return await self._transactions.run(attempt.run)
        except IntegrityError:
            raise ConcurrentChange from None


@dataclass(slots=True)
class _Attempt:
    """A request in progress. `response` is its result, set just before the COMMIT."""

    request: ChangeRequest
    change: Callable[[Connection], ChangeResult]
    fingerprints: Sequence[str]
    now: datetime
    response: ChangeResponse | None = None

    def run(self, connection: Connection) -> ChangeResponse:
        tenant_id, key = self.request.caller.tenant_id, self.request.idempotency_key
        set_tenant_scope(connection, [tenant_id])
        lock_tenant(connection, tenant_id)
        stored = find_request(connection, tenant_id, self.request.route, key) if key else None
        if stored is not None:
            return self._replay(stored, key or "")
        if self.response is not None and not key:  # the connection was lost at COMMIT
            raise OutcomeUnknown(
                "The database was lost during the commit; check whether the change was made."
            )
        return self._execute(connection, tenant_id)

    def _replay(self, stored: StoredRequest, key: str) -> ChangeResponse:
        if self.response is not None and stored.created_at == self.now:
            return self.response  # the COMMIT succeeded although its response was lost
        if not any(hmac.compare_digest(stored.request_hash, own) for own in self.fingerprints):
            raise RequestKeyReused(key)
        if stored.answer is None:
            raise SecretNotStored
        return ChangeResponse(stored.status, stored.answer.encode(), replayed=True)

    def _execute(self, connection: Connection, tenant_id: int) -> ChangeResponse:
        result = self.change(connection)
        response = ChangeResponse(result.status, orjson.dumps(result.body))
        key = self.request.idempotency_key
        if key:
            body = None if result.shows_secret else response.body.decode()
            stored = StoredRequest(self.fingerprints[0], result.status, body, self.now)
            store_request_key(connection, tenant_id, self.request.route, key, stored)
        record_entries(connection, result.audit_entries)
        self.response = response
        return response


def _compute_fingerprint(key: bytes, request: ChangeRequest) -> str:
    credentials = b"\0".join((request.route.encode(), request.subject.encode(), request.body))
    return hmac.new(key, credentials, hashlib.sha256).hexdigest()
