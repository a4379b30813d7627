"""Queries of a tenant's Slack users."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, Select, bindparam, select

from app.database import build_insert_missing, execute_writes
from app.identity.models import ApiKey, PortfolioGrant, Tenant, User
from app.identity.rules.access import Person, Role
from app.ids import generate_timed_id
from app.timestamps import format_timestamp


class NewUserPolicy(NamedTuple):
    """The tenant's policy for new Slack users. `role` is None if it rejects them."""

    active: bool
    role: str | None


def find_person(connection: Connection, tenant_id: int, person: str) -> Person | None:
    """Return the tenant's user with that Slack name."""
    row = connection.execute(_FIND, {"tenant_id": tenant_id, "person": person}).one_or_none()
    if row is None:
        return None
    portfolios = load_granted_portfolios(connection, tenant_id, row.id) if row.is_narrowed else None
    is_active = row.status == "active" and row.slack_status == "active"
    return Person(row.id, person, Role(row.role), is_active, portfolios)


def load_granted_portfolios(connection: Connection, tenant_id: int, user_id: int) -> frozenset[str]:
    """Return the name keys of the portfolios that a restricted user may see."""
    return frozenset(connection.execute(_GRANTS, {"tenant_id": tenant_id, "user_id": user_id}).scalars())


def list_person_names(connection: Connection, tenant_id: int, person: str) -> frozenset[str]:
    """Return the names of the person whose Slack name or e-mail address is `person`: that one and the other.

    A person acts under the Slack name through a key, and under the address after logging in.
    """
    statement = select(User.person, User.email).where(
        User.tenant_id == tenant_id, (User.person == person) | (User.email == person)
    )
    names = {name for row in connection.execute(statement) for name in row if name is not None}
    return frozenset(names | {person})


def find_key_creator(connection: Connection, tenant_id: int, name: str) -> str | None:
    """Return the person who created the API key of that name, None if no person did."""
    statement = select(ApiKey.created_by).where(ApiKey.tenant_id == tenant_id, ApiKey.name == name)
    return connection.execute(statement).scalar_one_or_none()


def get_new_user_policy(connection: Connection, tenant_id: int) -> NewUserPolicy:
    """Return the tenant's policy for new Slack users."""
    statement = select(Tenant.status, Tenant.slack_default_role).where(Tenant.id == tenant_id)
    status, role = connection.execute(statement).one()
    return NewUserPolicy(status == "active", role)


def add_person(connection: Connection, tenant_id: int, person: str, role: str, now: datetime) -> None:
    """Insert a Slack user unless another process just did."""
    row = (
        generate_timed_id(now),
        tenant_id,
        person,
        person,
        role,
        format_timestamp(now),
        format_timestamp(now),
    )
    columns = ("id", "tenant_id", "person", "name", "role", "created_at", "updated_at")
    execute_writes(connection, build_insert_missing(_USERS, columns, [row]))


def _select_user(columns: Sequence[str]) -> Select[tuple[object, ...]]:
    chosen = (getattr(User, name) for name in columns)
    return select(*chosen).where(User.tenant_id == bindparam("tenant_id"), User.person == bindparam("person"))


_USERS = User.metadata.tables["users"]
_FIND = _select_user(("id", "role", "status", "slack_status", "is_narrowed"))
_GRANTS = select(PortfolioGrant.portfolio_key).where(
    PortfolioGrant.tenant_id == bindparam("tenant_id"), PortfolioGrant.user_id == bindparam("user_id")
)
