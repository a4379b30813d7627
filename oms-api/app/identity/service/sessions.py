"""Sessions: started by a login, extended by single-use refresh tokens, ended within one second."""

import hashlib
import logging
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection

from app.audit.service import AuditEntry, record_entries
from app.clock import Now, monotonic_seconds
from app.database import Readers, set_tenant_scope
from app.database.transactions import Transactions
from app.errors import Forbidden, NotFound, Unauthenticated
from app.identity.errors import NoValidKey, TenantSuspended
from app.identity.queries import sessions as queries
from app.identity.queries.sessions import CallerNames, FoundSession, FoundUser, OpenSession, UserKey
from app.identity.rules.access import SCOPES_OF_ROLE, Caller
from app.identity.rules.clients import Client
from app.identity.rules.tokens import (
    AccessClaims,
    BadToken,
    RefreshDecision,
    TokenKeys,
    Tokens,
    create_refresh_token,
    decide_refresh,
    sign_access_token,
    verify_access_token,
    verify_refresh_token,
)  # fmt: skip
from app.identity.rules.verification import SESSION_ENDS
from app.identity.service.authenticator import ExpiringCache

SESSION = "session"
_PREFIX = f"{SESSION}:"
_MAX_REMEMBERED = 10_000
RETENTION_AFTER_END = timedelta(days=90)  # how long the login throttle remembers an address of the user
MAX_DELETED = 100  # old sessions per login
_LOG = logging.getLogger(__name__)


class NotRefreshed(Unauthenticated):
    """The same message for an unknown token, a used token and an ended session."""

    title = "Log in again"

    sentence = "This refresh token is not valid; log in again."


class NoSession(Forbidden):
    """An API key has no session to end."""

    kind, title = "no-session", "Invalid session"
    sentence = "An API key has no session; log in with `POST /auth/login`."


class NoSuchSession(NotFound):
    """Raised when the session does not exist, or belongs to another user."""

    def __init__(self, session_id: str) -> None:
        super().__init__(f"You have no session {session_id!r}; list your sessions with `GET /auth/sessions`.")


@dataclass(frozen=True, slots=True)
class TokenLifetimes:
    """Lifetimes of tokens and sessions. A session ends after `session`, or after `idle` without use."""

    access: timedelta
    session: timedelta
    idle: timedelta


class LoginSessions:
    """The sessions of the callers of one process, on one event loop."""

    def __init__(
        self,
        token_keys: TokenKeys,
        lifetimes: TokenLifetimes,
        readers: Readers,
        transactions: Transactions,
        now: Now,
    ) -> None:
        self._token_keys, self._lifetimes, self._now = token_keys, lifetimes, now
        self._readers, self._transactions = readers, transactions
        self._claims_by_digest: dict[bytes, AccessClaims] = {}
        self._callers_by_session: ExpiringCache[str, Caller] = ExpiringCache()

    def find_cached(self, token: str) -> Caller | None:
        """Return the caller of an access token, or None if that needs a query. Raises NoValidKey."""
        return self._callers_by_session.get(self._parse_access(token).session_id)

    async def authenticate(self, token: str) -> Caller:
        """Return the caller of an access token. Raises NoValidKey or TenantSuspended."""
        access = self._parse_access(token)
        caller = self._callers_by_session.get(access.session_id)
        if caller is None:
            queried_at = monotonic_seconds()
            caller = await self._readers.run(
                lambda connection: self._load_caller(connection, access), access.tenant_id
            )
            self._callers_by_session.put(access.session_id, caller, queried_at)
        return caller

    def open(self, connection: Connection, owner: UserKey, client: Client, now: datetime) -> str:
        """Start a session of a user in the caller's transaction, whose tenant scope is set. Return its id."""
        session_id = secrets.token_hex(16)
        queries.delete_old_sessions(connection, owner, now - RETENTION_AFTER_END, MAX_DELETED)
        queries.add_session(connection, session_id, owner, client.hash, now, now + self._lifetimes.session)
        return session_id

    def build_tokens(self, owner: UserKey, session_id: str, generation: int, now: datetime) -> Tokens:
        """Return the tokens of a generation: a new access token, and the deterministic refresh token."""
        whole_seconds = now.replace(microsecond=0)  # tokens count in whole seconds
        access = AccessClaims(*owner, session_id, whole_seconds + self._lifetimes.access)
        signed = sign_access_token(access, self._token_keys, now, secrets.token_hex(8))
        refresh = create_refresh_token(session_id, generation, self._token_keys)
        return Tokens(signed, refresh, int(self._lifetimes.access.total_seconds()))

    async def refresh(self, token: str, client: Client) -> Tokens:
        """Exchange a refresh token, which is valid once. Raises NotRefreshed or TenantSuspended.

        The same client receives the same result again for a few seconds. Another client, or a later use, ends
        the session: one of the two has stolen the token.
        """
        try:
            session_id, generation = verify_refresh_token(token, self._token_keys)
        except BadToken:
            raise NotRefreshed from None
        now = self._now()
        session = await self._transactions.run(
            lambda connection: self._exchange_session(connection, session_id, generation, client, now)
        )
        if session is None:
            self._callers_by_session.remove(session_id)
            raise NotRefreshed
        return self.build_tokens(UserKey(session.tenant_id, session.user_id), session_id, generation + 1, now)

    async def log_out(self, caller: Caller, client: Client) -> None:
        """End the caller's session, in this process immediately. Raises NoSession for an API key."""
        await self._revoke_own(caller, get_session_id(caller), client, "session.ended")

    async def revoke(self, caller: Caller, session_id: str, client: Client) -> None:
        """End one of the caller's own sessions, in this process immediately.

        Raises NoSession for an API key, or NoSuchSession.
        """
        get_session_id(caller)
        await self._revoke_own(caller, session_id, client, "session.revoked")

    async def _revoke_own(self, caller: Caller, session_id: str, client: Client, action: str) -> None:
        reason = SESSION_ENDS[action]
        now = self._now()

        def write(connection: Connection) -> None:
            session = queries.find_session(set_tenant_scope(connection, [caller.tenant_id]), session_id)
            if session is None or (session.tenant_id, session.user_id) != (caller.tenant_id, caller.user_id):
                raise NoSuchSession(session_id)
            if queries.revoke_session(connection, caller.tenant_id, session_id, reason, now):
                entry = build_session_entry(caller.tenant_id, caller.actor, action, session_id, client, now)
                record_entries(connection, [entry])

        await self._transactions.run(write)
        self._callers_by_session.remove(session_id)

    async def list_own_sessions(self, caller: Caller) -> list[OpenSession]:
        """Return the caller's active sessions. Raises NoSession for an API key."""
        get_session_id(caller)
        now, owner = self._now(), UserKey(caller.tenant_id, caller.user_id or 0)
        return await self._readers.run(
            lambda connection: queries.list_sessions(connection, owner, now, now - self._lifetimes.idle),
            caller.tenant_id,
        )

    async def describe_caller(self, caller: Caller) -> CallerNames:
        """Return the names of the caller's tenant and of the person, if there is one."""
        tenant_id, user_id = caller.tenant_id, caller.user_id
        return await self._readers.read(tenant_id, queries.load_caller_names, user_id)

    def _parse_access(self, token: str) -> AccessClaims:
        now = self._now()
        digest = hashlib.sha256(token.encode(errors="replace")).digest()
        access = self._claims_by_digest.get(digest)
        if access is None:
            try:
                access = verify_access_token(token, self._token_keys, now)
            except BadToken:
                raise NoValidKey from None
            if len(self._claims_by_digest) >= _MAX_REMEMBERED:
                self._claims_by_digest.clear()
            self._claims_by_digest[digest] = access
        if access.expires_at <= now:
            del self._claims_by_digest[digest]
            raise NoValidKey
        return access

    def _load_caller(self, connection: Connection, access: AccessClaims) -> Caller:
        session = queries.find_session(connection, access.session_id)
        if session is None or (session.tenant_id, session.user_id) != (access.tenant_id, access.user_id):
            raise NoValidKey
        if session.state.revoked or session.state.expires_at <= self._now():
            raise NoValidKey
        user = queries.find_user(connection, access.tenant_id, access.user_id)
        if user is None or not user.is_active:
            raise NoValidKey
        if not user.tenant_is_active:
            raise TenantSuspended
        return _build_caller(access, user)

    def _exchange_session(
        self, connection: Connection, session_id: str, generation: int, client: Client, now: datetime
    ) -> FoundSession | None:
        session = queries.find_session(connection, session_id)
        if session is None:
            return None
        set_tenant_scope(connection, [session.tenant_id])
        user = queries.find_user(connection, session.tenant_id, session.user_id)
        if user is None or not user.is_active:
            return None
        if not user.tenant_is_active:
            raise TenantSuspended
        presented = decide_refresh(session.state, generation, client.hash, now, self._lifetimes.idle)
        if presented is RefreshDecision.CURRENT:
            if queries.advance_session(connection, session_id, generation, client.hash, now):
                return session
            # a concurrent request may have changed it
            current_session = queries.find_session(connection, session_id) or session
            presented = decide_refresh(
                current_session.state, generation, client.hash, now, self._lifetimes.idle
            )
        if presented is RefreshDecision.REUSED:
            _revoke_reused(connection, session, session_id, user, client, now)
        return session if presented is RefreshDecision.REPEATED else None


def get_session_id(caller: Caller) -> str:
    """Return the id of the caller's session. Raises NoSession for an API key."""
    if not caller.key_id.startswith(_PREFIX):
        raise NoSession
    return caller.key_id.removeprefix(_PREFIX)


def build_session_entry(
    tenant_id: int, actor: str, action: str, session_id: str, client: Client, now: datetime
) -> AuditEntry:
    """Build the audit entry of a session. `actor` is the person."""
    target = f"{_PREFIX}{session_id}"
    return AuditEntry(tenant_id, now, actor, SESSION, action, target, client.address, client.request_id)


def _revoke_reused(
    connection: Connection,
    session: FoundSession,
    session_id: str,
    user: FoundUser,
    client: Client,
    now: datetime,
) -> None:
    if queries.revoke_session(connection, session.tenant_id, session_id, SESSION_ENDS["session.reused"], now):
        entry = build_session_entry(
            session.tenant_id, user.audit_name, "session.reused", session_id, client, now
        )
        record_entries(connection, [entry])
        _LOG.warning(
            "a refresh token was used twice; its session was ended", extra={"session_id": session_id}
        )


def _build_caller(access: AccessClaims, user: FoundUser) -> Caller:
    return Caller(
        access.tenant_id,
        f"{_PREFIX}{access.session_id}",
        SESSION,
        SCOPES_OF_ROLE[user.role],
        user.role,
        access.user_id,
        user.audit_name,
        user.portfolios,
    )  # no expiry: the rights that a user grants do not end with the session
