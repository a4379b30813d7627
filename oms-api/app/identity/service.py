"""Authenticating callers, minting and revoking keys."""

import hmac
import logging
import secrets
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta

from sqlalchemy import Connection

from app.clock import Now, monotonic_seconds
from app.identity import queries
from app.identity.errors import KeyNameTaken, MissingScope, NoSuchKey, NoValidKey
from app.identity.models import FIRST_TENANT
from app.identity.rules import Caller, Scope, StoredKey, accepts, expand_scopes, hash_of, key_id_of, make_key

CACHE_SECONDS = 0.5  # a revoked key is dead within 1 s: half for the cache, half for a slow look-up
USE_NOTED_EVERY = timedelta(minutes=1)
_MOST_CACHED = 10_000
_LOG = logging.getLogger(__name__)

BOOTSTRAP = Caller(FIRST_TENANT, "bootstrap", "bootstrap", frozenset(Scope))


class Authenticator:
    """Tell who sends a key. Keys that counted a moment ago are remembered, by their hash, for
    CACHE_SECONDS.
    """

    def __init__(
        self,
        bootstrap_key: str,
        find: Callable[[str], Awaitable[StoredKey | None]],
        note_use: Callable[[str, datetime], None],
        now: Now,
    ) -> None:
        self._bootstrap_hash = hash_of(bootstrap_key)
        self._find = find
        self._note_use = note_use
        self._now = now
        self._cache: dict[bytes, tuple[Caller, float]] = {}
        self._noted: dict[str, datetime] = {}

    async def authenticate(self, key: str | None) -> Caller:
        """Return the caller whose key this is; NoValidKey for anything else."""
        if not key:
            raise NoValidKey
        digest = hash_of(key)
        known = self._cache.get(digest)
        if known and known[1] > monotonic_seconds():
            return known[0]
        if hmac.compare_digest(digest, self._bootstrap_hash):
            return BOOTSTRAP
        return await self._look_up(key, digest)

    async def _look_up(self, key: str, digest: bytes) -> Caller:
        asked_at = monotonic_seconds()
        key_id = key_id_of(key)
        stored = await self._find(key_id) if key_id else None
        now = self._now()
        if stored is None or not accepts(stored, key, now):
            self._cache.pop(digest, None)
            raise NoValidKey
        caller = Caller(stored.tenant_id, stored.key_id, stored.name, expand_scopes(stored.scopes))
        if len(self._cache) >= _MOST_CACHED:
            self._cache.clear()
        self._cache[digest] = (caller, asked_at + CACHE_SECONDS)
        self._note(stored.key_id, now)
        return caller

    def _note(self, key_id: str, now: datetime) -> None:
        noted = self._noted.get(key_id)
        if noted is None or now - noted >= USE_NOTED_EVERY:
            self._noted[key_id] = now
            self._note_use(key_id, now)


def require(caller: Caller, scope: Scope) -> None:
    """Raise MissingScope unless the caller's key has the scope."""
    if not caller.may(scope):
        raise MissingScope(scope.value)


def mint_key(
    connection: Connection,
    name: str,
    scopes: str,
    now: datetime,
    tenant_id: int = FIRST_TENANT,
    expires_at: datetime | None = None,
) -> str:
    """Store a fresh key and return it; it is never shown again.

    `scopes` are words parted by blanks. Raises KeyNameTaken, and ValueError for unknown scopes.
    """
    granted = " ".join(sorted(expand_scopes(scopes)))
    if queries.name_is_taken(connection, tenant_id, name):
        raise KeyNameTaken(name)
    key = make_key(secrets.choice)
    key_id = key_id_of(key)
    assert key_id is not None, "a fresh key is well-formed"  # noqa: S101  # for the type checker
    stored = StoredKey(key_id, tenant_id, name, hash_of(key), granted, expires_at, None)
    queries.store_key(connection, stored, now)
    return key


def revoke_key(connection: Connection, name: str, now: datetime, tenant_id: int = FIRST_TENANT) -> None:
    """End the key of that name at once; the processes that remember it forget it within CACHE_SECONDS."""
    if not queries.mark_revoked(connection, tenant_id, name, now):
        raise NoSuchKey(name)
    _LOG.info("key revoked", extra={"key_name": name})
