"""Log-ins and sessions, each read by its exact key; what concerns people needs the tenant declared."""

from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, and_, delete, insert, or_, select, update

from app.identity.models import Login, Session, Tenant, User
from app.identity.queries.people import granted_to
from app.identity.rules.access import Role
from app.identity.rules.tokens import SessionState

ACTIVE = "active"


class FoundLogin(NamedTuple):
    """A tenant, and the log-in of that e-mail address there, if there is one."""

    tenant_id: int
    user_id: int | None
    password_hash: str | None


class FoundUser(NamedTuple):
    """A person, and whether they and their tenant may do anything."""

    name: str
    email: str | None
    person: str | None
    role: Role
    is_active: bool
    tenant_is_active: bool
    portfolios: frozenset[str] | None

    @property
    def called(self) -> str:
        """What trails call the person."""
        return self.email or self.person or self.name


class Me(NamedTuple):
    """What a caller's tenant and, where there is one, the person are called."""

    tenant_slug: str
    tenant_name: str
    name: str | None
    email: str | None


class FoundSession(NamedTuple):
    """A session and whose it is."""

    tenant_id: int
    user_id: int
    state: SessionState


class OpenSession(NamedTuple):
    """A session that still counts, for the person whose it is."""

    session_id: str
    created_at: datetime
    rotated_at: datetime
    expires_at: datetime


def find_login(connection: Connection, slug: str, email: str) -> FoundLogin | None:
    """Return the log-in, or None where there is no such tenant; one query whatever there is."""
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
    """Let a user log in by an e-mail address, which is lower case, and a password."""
    values = {"tenant_id": tenant_id, "email": email, "user_id": user_id}
    connection.execute(insert(Login).values(**values, password_hash=password_hash, changed_at=now))


def is_still_password(connection: Connection, tenant_id: int, user_id: int, password_hash: str) -> bool:
    """Tell whether the hash is the user's, and keep it so until the transaction is over."""
    mine = (Login.tenant_id == tenant_id, Login.user_id == user_id, Login.password_hash == password_hash)
    return connection.execute(select(Login.user_id).where(*mine).with_for_update()).first() is not None


def change_password_hash(
    connection: Connection, tenant_id: int, user_id: int, password_hash: str, now: datetime,
    instead_of: str | None = None,
) -> bool:  # fmt: skip
    """Replace a user's hash; with `instead_of` only where it still is that one. Tell whether it was done."""
    statement = update(Login).where(Login.tenant_id == tenant_id, Login.user_id == user_id)
    if instead_of is not None:
        statement = statement.where(Login.password_hash == instead_of)
    return connection.execute(statement.values(password_hash=password_hash, changed_at=now)).rowcount == 1


def find_user(connection: Connection, tenant_id: int, user_id: int) -> FoundUser | None:
    """Return a declared tenant's user."""
    statement = (
        select(
            *(User.name, User.email, User.person, User.role, User.status, User.is_narrowed),
            Tenant.status.label("tenant_status"),
        )
        .join(Tenant, Tenant.id == User.tenant_id)
        .where(User.tenant_id == tenant_id, User.id == user_id)
    )
    row = connection.execute(statement).one_or_none()
    if row is None:
        return None
    granted = granted_to(connection, tenant_id, user_id) if row.is_narrowed else None
    active = (row.status == ACTIVE, row.tenant_status == ACTIVE)
    return FoundUser(row.name, row.email, row.person, Role(row.role), *active, granted)


def add_session(
    connection: Connection, session_id: str, owner: tuple[int, int], client_hash: str, now: datetime,
    expires_at: datetime,
) -> None:  # fmt: skip
    """Begin a session of `owner` (tenant and user)."""
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
    """Return the session by its id, whatever its tenant: it is what tells the tenant."""
    statement = select(Session).where(Session.session_id == session_id)
    row = connection.execute(statement).one_or_none()
    if row is None:
        return None
    state = SessionState(
        row.generation, row.client_hash, row.rotated_at, row.expires_at, row.revoked_at is not None
    )
    return FoundSession(row.tenant_id, row.user_id, state)


def advance(
    connection: Connection, session_id: str, generation: int, client_hash: str, now: datetime
) -> bool:
    """Count one generation on from `generation`; False where another request was faster, or it is revoked."""
    current = (
        Session.session_id == session_id, Session.generation == generation, Session.revoked_at.is_(None)
    )  # fmt: skip
    moved = update(Session).where(*current)
    moved = moved.values(generation=generation + 1, client_hash=client_hash, rotated_at=now)
    return connection.execute(moved).rowcount == 1


def revoke_session(
    connection: Connection, tenant_id: int, session_id: str, because: str, now: datetime
) -> bool:
    """End a tenant's session; False where it has ended before."""
    live = (Session.tenant_id == tenant_id, Session.session_id == session_id, Session.revoked_at.is_(None))
    ended = update(Session).where(*live).values(revoked_at=now, revoked_because=because)
    return connection.execute(ended).rowcount == 1


def revoke_sessions_of(
    connection: Connection, tenant_id: int, user_id: int, because: str, now: datetime, kept: str = ""
) -> int:
    """End all sessions of a user but the one `kept`, as when the password changes; return how many there
    were.
    """
    live = (Session.tenant_id == tenant_id, Session.user_id == user_id, Session.revoked_at.is_(None))
    ended = (
        update(Session)
        .where(*live, Session.session_id != kept)
        .values(revoked_at=now, revoked_because=because)
    )
    return connection.execute(ended).rowcount


def has_come_from(connection: Connection, slug: str, email: str, address_hash: str) -> bool:
    """Tell whether anybody logged into that account from that address; one query whatever there is."""
    mine = and_(Session.tenant_id == Login.tenant_id, Session.user_id == Login.user_id)
    statement = (
        select(Session.session_id)
        .join(Login, mine)
        .join(Tenant, Tenant.id == Login.tenant_id)
        .where(Tenant.slug == slug, Login.email == email)
        .where(Session.client_hash.startswith(address_hash, autoescape=True))
        .limit(1)
    )
    return connection.execute(statement).first() is not None


def find_me(connection: Connection, tenant_id: int, user_id: int | None) -> Me:
    """Return what the declared tenant, and its user where one is named, are called."""
    mine = and_(User.tenant_id == Tenant.id, User.id == user_id)
    statement = select(Tenant.slug, Tenant.name, User.name, User.email).join(User, mine, isouter=True)
    return Me(*connection.execute(statement.where(Tenant.id == tenant_id)).one())


def list_sessions(
    connection: Connection, owner: tuple[int, int], now: datetime, unused_since: datetime
) -> list[OpenSession]:
    """Return the sessions of `owner` (tenant and user) that still count, the one used last first."""
    tenant_id, user_id = owner
    live = (Session.revoked_at.is_(None), Session.expires_at > now, Session.rotated_at > unused_since)
    columns = (getattr(Session, name) for name in OpenSession._fields)
    statement = select(*columns).where(Session.tenant_id == tenant_id, Session.user_id == user_id, *live)
    return [
        OpenSession._make(row) for row in connection.execute(statement.order_by(Session.rotated_at.desc()))
    ]


def delete_old_sessions(connection: Connection, owner: tuple[int, int], before: datetime, most: int) -> int:
    """Delete sessions of `owner` that ended `before`, at most so many; return how many there were."""
    tenant_id, user_id = owner
    ended = or_(Session.revoked_at < before, Session.expires_at < before)
    old = select(Session.session_id).where(Session.tenant_id == tenant_id, Session.user_id == user_id, ended)
    statement = delete(Session).where(Session.session_id.in_(old.limit(most)))
    return connection.execute(statement).rowcount
