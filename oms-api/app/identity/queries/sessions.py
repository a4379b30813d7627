"""Queries of logins and sessions by exact key. Queries of users need the tenant scope."""

from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, and_, delete, insert, or_, select, update

from app.database import RecordTable
from app.identity.models import Login, Session, Tenant, User
from app.identity.queries.people import load_granted_portfolios
from app.identity.rules.access import Role
from app.identity.rules.tokens import SessionState

ACTIVE = "active"


class FoundLogin(NamedTuple):
    """A tenant, and its login with that e-mail address, if there is one."""

    tenant_id: int
    user_id: int | None
    password_hash: str | None


class UserKey(NamedTuple):
    """The key of a user."""

    tenant_id: int
    user_id: int


class FoundUser(NamedTuple):
    """A user, and whether the user and the tenant are active."""

    name: str
    email: str | None
    person: str | None
    role: Role
    is_active: bool
    tenant_is_active: bool
    portfolios: frozenset[str] | None

    @property
    def audit_name(self) -> str:
        """The name of the person in the audit log."""
        return self.email or self.person or self.name


class CallerNames(NamedTuple):
    """The names of a caller's tenant and of the person, if there is one."""

    tenant_slug: str
    tenant_name: str
    name: str | None
    email: str | None


class FoundSession(NamedTuple):
    """A session and its owner."""

    tenant_id: int
    user_id: int
    state: SessionState


class OpenSession(NamedTuple):
    """An active session, as its owner sees it."""

    session_id: str
    created_at: datetime
    rotated_at: datetime
    expires_at: datetime


_OPEN_SESSIONS = RecordTable(Session, OpenSession)


def find_login(connection: Connection, slug: str, email: str) -> FoundLogin | None:
    """Return the login, or None if the tenant does not exist. Always one query."""
    statement = (
        select(Tenant.id, Login.user_id, Login.password_hash)
        .join(Login, and_(Login.tenant_id == Tenant.id, Login.email == email), isouter=True)
        .where(Tenant.slug == slug)
    )
    row = connection.execute(statement).one_or_none()
    return FoundLogin(*row) if row else None


def store_login(
    connection: Connection, tenant_id: int, email: str, user_id: int, password_hash: str, now: datetime
) -> None:
    """Store a user's e-mail address, in lower case, and password hash."""
    values = {"tenant_id": tenant_id, "email": email, "user_id": user_id}
    connection.execute(insert(Login).values(**values, password_hash=password_hash, changed_at=now))


def lock_current_password(connection: Connection, tenant_id: int, user_id: int, password_hash: str) -> bool:
    """Return whether the hash is still the user's, and lock it until the transaction ends."""
    condition = (Login.tenant_id == tenant_id, Login.user_id == user_id, Login.password_hash == password_hash)
    return connection.execute(select(Login.user_id).where(*condition).with_for_update()).first() is not None


def replace_password_hash(
    connection: Connection, tenant_id: int, user_id: int, password_hash: str, now: datetime,
    expected_hash: str | None = None,
) -> bool:  # fmt: skip
    """Replace a user's password hash, and return whether it was replaced.

    With `expected_hash`, replace it only if that is still the stored one.
    """
    statement = update(Login).where(Login.tenant_id == tenant_id, Login.user_id == user_id)
    if expected_hash is not None:
        statement = statement.where(Login.password_hash == expected_hash)
    return connection.execute(statement.values(password_hash=password_hash, changed_at=now)).rowcount == 1


def find_user(connection: Connection, tenant_id: int, user_id: int) -> FoundUser | None:
    """Return a user of the tenant scope."""
    statement = (
        select(
            User.name,
            User.email,
            User.person,
            User.role,
            User.status,
            User.slack_status,
            User.is_narrowed,
            Tenant.status.label("tenant_status"),
        )
        .join(Tenant, Tenant.id == User.tenant_id)
        .where(User.tenant_id == tenant_id, User.id == user_id)
    )
    row = connection.execute(statement).one_or_none()
    if row is None:
        return None
    portfolios = load_granted_portfolios(connection, tenant_id, user_id) if row.is_narrowed else None
    active = (row.status == ACTIVE and row.slack_status == ACTIVE, row.tenant_status == ACTIVE)
    return FoundUser(row.name, row.email, row.person, Role(row.role), *active, portfolios)


def add_session(
    connection: Connection, session_id: str, owner: UserKey, client_hash: str, now: datetime,
    expires_at: datetime,
) -> None:  # fmt: skip
    """Insert a session of `owner`."""
    tenant_id, user_id = owner
    connection.execute(
        insert(Session).values(
            session_id=session_id,
            tenant_id=tenant_id,
            user_id=user_id,
            generation=0,
            client_hash=client_hash,
            created_at=now,
            rotated_at=now,
            expires_at=expires_at,
        )
    )


def find_session(connection: Connection, session_id: str) -> FoundSession | None:
    """Return the session of that id in any tenant, since the tenant is not known yet."""
    statement = select(Session).where(Session.session_id == session_id)
    row = connection.execute(statement).one_or_none()
    if row is None:
        return None
    state = SessionState(
        row.generation, row.client_hash, row.rotated_at, row.expires_at, row.revoked_at is not None
    )
    return FoundSession(row.tenant_id, row.user_id, state)


def advance_session(
    connection: Connection, session_id: str, generation: int, client_hash: str, now: datetime
) -> bool:
    """Advance the session from `generation` to the next one.

    Return False if another request did so, or if the session is revoked.
    """
    current = (
        Session.session_id == session_id, Session.generation == generation, Session.revoked_at.is_(None)
    )  # fmt: skip
    statement = update(Session).where(*current)
    statement = statement.values(generation=generation + 1, client_hash=client_hash, rotated_at=now)
    return connection.execute(statement).rowcount == 1


def revoke_session(
    connection: Connection, tenant_id: int, session_id: str, reason: str, now: datetime
) -> bool:
    """Revoke a tenant's session. Return False if it has already ended."""
    live = (Session.tenant_id == tenant_id, Session.session_id == session_id, Session.revoked_at.is_(None))
    statement = update(Session).where(*live).values(revoked_at=now, revoked_because=reason)
    return connection.execute(statement).rowcount == 1


def revoke_sessions_of_user(
    connection: Connection,
    tenant_id: int,
    user_id: int,
    reason: str,
    now: datetime,
    excluded_session_id: str = "",
) -> int:
    """Revoke all sessions of a user except `excluded_session_id`, as after a new password.

    Return their number.
    """
    live = (Session.tenant_id == tenant_id, Session.user_id == user_id, Session.revoked_at.is_(None))
    statement = (
        update(Session)
        .where(*live, Session.session_id != excluded_session_id)
        .values(revoked_at=now, revoked_because=reason)
    )
    return connection.execute(statement).rowcount


def has_logged_in_from(connection: Connection, slug: str, email: str, address_hash: str) -> bool:
    """Return whether the account was ever logged in to from that address. Always one query."""
    condition = and_(Session.tenant_id == Login.tenant_id, Session.user_id == Login.user_id)
    statement = (
        select(Session.session_id)
        .join(Login, condition)
        .join(Tenant, Tenant.id == Login.tenant_id)
        .where(Tenant.slug == slug, Login.email == email)
        .where(Session.client_hash.startswith(address_hash, autoescape=True))
        .limit(1)
    )
    return connection.execute(statement).first() is not None


def load_caller_names(connection: Connection, tenant_id: int, user_id: int | None) -> CallerNames:
    """Return the names of the tenant and, if one is given, of its user."""
    condition = and_(User.tenant_id == Tenant.id, User.id == user_id)
    statement = select(Tenant.slug, Tenant.name, User.name, User.email).join(User, condition, isouter=True)
    return CallerNames(*connection.execute(statement.where(Tenant.id == tenant_id)).one())


def list_sessions(
    connection: Connection, owner: UserKey, now: datetime, unused_since: datetime
) -> list[OpenSession]:
    """Return the active sessions of `owner`, most recently used first."""
    tenant_id, user_id = owner
    live = (Session.revoked_at.is_(None), Session.expires_at > now, Session.rotated_at > unused_since)
    query = _OPEN_SESSIONS.select(tenant_id=tenant_id, user_id=user_id).where(*live)
    return _OPEN_SESSIONS.read(connection, query.order_by(Session.rotated_at.desc()))


def delete_old_sessions(connection: Connection, owner: UserKey, before: datetime, max_rows: int) -> int:
    """Delete at most `max_rows` sessions of `owner` that ended before `before`. Return their number."""
    tenant_id, user_id = owner
    is_ended = or_(Session.revoked_at < before, Session.expires_at < before)
    old = select(Session.session_id).where(
        Session.tenant_id == tenant_id, Session.user_id == user_id, is_ended
    )
    statement = delete(Session).where(Session.session_id.in_(old.limit(max_rows)))
    return connection.execute(statement).rowcount
