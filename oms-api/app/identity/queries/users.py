"""Queries of a tenant's users, for administrators."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, Select, and_, func, insert, or_, select, update

from app.identity.models import Login, User
from app.identity.rules.administration import PageCursor
from app.ids import generate_timed_id


class UserRow(NamedTuple):
    """A user. `can_log_in` is true if there is a password."""

    id: int
    email: str | None
    person: str | None
    name: str
    role: str
    status: str
    slack_status: str
    is_narrowed: bool
    created_at: datetime
    updated_at: datetime
    can_log_in: bool

    @property
    def audit_name(self) -> str:
        """The name of the person in the audit log."""
        return self.email or self.person or self.name


@dataclass(frozen=True, slots=True)
class UserFilter:
    """Filters of the list of users; None means all.

    `part` is a case-insensitive search in name, address and person.
    """

    part: str | None = None
    role: str | None = None
    status: str | None = None


def select_users(tenant_id: int) -> Select[Any]:
    """Return the query of the tenant's users, with the fields of `UserRow`."""
    return select(*_COLUMNS, _HAS_LOGIN).where(User.tenant_id == tenant_id)


def find_user(connection: Connection, tenant_id: int, user_id: int) -> UserRow | None:
    """Return the tenant's user of that id."""
    row = connection.execute(select_users(tenant_id).where(User.id == user_id)).one_or_none()
    return UserRow._make(row) if row else None


def find_user_of_person(connection: Connection, tenant_id: int, person: str) -> UserRow | None:
    """Return the tenant's user with that Slack name, locked."""
    statement = select_users(tenant_id).where(User.person == person).with_for_update(of=User)
    row = connection.execute(statement).one_or_none()
    return UserRow._make(row) if row else None


def list_users(
    connection: Connection, tenant_id: int, filters: UserFilter, limit: int, before: PageCursor | None
) -> list[UserRow]:
    """Return users, newest first, after the cursor `before`."""
    newest = (User.created_at.desc(), User.id.desc())
    statement = select_users(tenant_id).where(*_build_conditions(filters)).order_by(*newest).limit(limit)
    if before is not None:
        same_moment = and_(User.created_at == before.created_at, User.id < int(before.id))
        statement = statement.where(or_(User.created_at < before.created_at, same_moment))
    return [UserRow._make(row) for row in connection.execute(statement)]


def list_people_of_workspace(connection: Connection, tenant_id: int, team_id: str) -> list[UserRow]:
    """Return the tenant's users from a Slack workspace."""
    is_member = User.person.startswith(f"slack:{team_id}:", autoescape=True)
    statement = select_users(tenant_id).where(is_member).order_by(User.id)
    return [UserRow._make(row) for row in connection.execute(statement)]


def is_known(connection: Connection, tenant_id: int, *, email: str | None, person: str | None) -> bool:
    """Return whether the tenant has a user with that e-mail address or Slack identity."""
    conditions = [
        column == value for column, value in ((User.email, email), (User.person, person)) if value is not None
    ]
    return connection.execute(select_users(tenant_id).where(or_(*conditions))).first() is not None


def store_user(connection: Connection, tenant_id: int, values: dict[str, Any], now: datetime) -> int:
    """Insert a user and return its id."""
    statement = insert(User).values(
        id=generate_timed_id(now), tenant_id=tenant_id, created_at=now, updated_at=now, **values
    )
    return connection.execute(statement.returning(User.id)).scalar_one()


def update_user(
    connection: Connection, tenant_id: int, user_id: int, changes: dict[str, Any], now: datetime
) -> None:
    """Update columns of a user."""
    condition = (User.tenant_id == tenant_id, User.id == user_id)
    connection.execute(update(User).where(*condition).values(**changes, updated_at=now))


def has_admin_user(connection: Connection, tenant_id: int) -> bool:
    """Return whether the tenant has an active admin with a password and access to all portfolios."""
    is_active = (User.status == "active", User.slack_status == "active")
    is_active_admin = (User.role == "admin", *is_active, User.is_narrowed.is_(False), _HAS_LOGIN)
    return connection.execute(select_users(tenant_id).where(*is_active_admin)).first() is not None


def _build_conditions(filters: UserFilter) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    if filters.role is not None:
        conditions.append(User.role == filters.role)
    if filters.status is not None:
        conditions.append(User.status == filters.status)
    if filters.part:
        part = filters.part.lower()
        lowered = (func.lower(column) for column in (User.name, User.email, User.person))
        conditions.append(or_(*(column.contains(part, autoescape=True) for column in lowered)))
    return conditions


_COLUMNS = tuple(getattr(User, name) for name in UserRow._fields[:-1])
_HAS_LOGIN = (
    select(Login.user_id)
    .where(Login.tenant_id == User.tenant_id, Login.user_id == User.id)
    .correlate(User)
    .exists()
    .label("can_log_in")
)
