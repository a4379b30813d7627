"""Parameters of administrators' operations, and their limit: a person cannot grant rights that they lack."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple, TypedDict

from app.identity.errors import RightsExceeded
from app.identity.rules.access import SCOPES_OF_ROLE, Caller, Role, Scope

MAX_PORTFOLIOS = 90  # the names must fit into one entry of the audit log


class PageCursor(NamedTuple):
    """The cursor of a list, newest first: the creation time and id of the last row of the page before."""

    created_at: datetime
    id: str


@dataclass(frozen=True, slots=True)
class NewTenant:
    """A tenant to create."""

    slug: str
    name: str


class TenantChanges(TypedDict, total=False):
    """Changes of a tenant. Fields that are not set keep their value."""

    name: str
    slack_default_role: str | None
    base_currency: str
    default_opening_cash: Decimal
    slack_channels: str
    slack_group_roles: str
    status: str


@dataclass(frozen=True, slots=True)
class NewUser:
    """A user to create. `portfolios` holds names; None means all."""

    name: str
    role: Role
    email: str | None = None
    person: str | None = None
    password: str | None = field(default=None, repr=False)
    portfolios: tuple[str, ...] | None = None


class UserChanges(TypedDict, total=False):
    """Changes of a user. Fields that are not set keep their value."""

    name: str
    role: str
    status: str
    password: str
    portfolios: list[str] | None


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key to create. Unless `is_expiry_given`, it expires together with the caller."""

    name: str
    scopes: frozenset[Scope]
    expires_at: datetime | None = None
    portfolios: tuple[str, ...] | None = None
    is_expiry_given: bool = False


@dataclass(frozen=True, slots=True)
class Rotation:
    """Parameters of a key rotation.

    The old key stays valid for `overlap_seconds`. Unless `is_expiry_given`, the new key expires when the old
    key would have.
    """

    overlap_seconds: int
    expires_at: datetime | None = None
    is_expiry_given: bool = False


def require_scopes(caller: Caller, scopes: Iterable[Scope]) -> None:
    """Raise RightsExceeded unless the caller has all of these scopes."""
    beyond = sorted(set(scopes) - caller.scopes)
    if beyond:
        raise RightsExceeded(
            f"You cannot grant {', '.join(map(repr, map(str, beyond)))}: you do not have it yourself. "
            "Ask somebody who has it."
        )


def require_role(caller: Caller, *roles: Role) -> None:
    """Raise RightsExceeded unless the caller has all rights of these roles."""
    require_scopes(caller, frozenset[Scope]().union(*(SCOPES_OF_ROLE[role] for role in roles)))


def require_portfolios(caller: Caller, name_keys: Collection[str] | None) -> None:
    """Raise RightsExceeded if the portfolios exceed the caller's restriction."""
    if caller.portfolios is None:
        return
    if name_keys is None or not caller.portfolios.issuperset(name_keys):
        raise RightsExceeded(
            "You cannot grant access to portfolios that you cannot access yourself; ask somebody who can."
        )


def compute_granted_expiry(
    caller: Caller, requested: datetime | None, *, is_expiry_given: bool
) -> datetime | None:
    """Return the expiry of a granted key: the wanted one, or by default that of the caller.

    Raises RightsExceeded if it is later than that of the caller.
    """
    own = caller.expires_at
    if own is None:
        return requested
    if requested is None and not is_expiry_given:
        return own
    if requested is None or requested > own:
        raise RightsExceeded("`expires_at` must not be later than that of your own key or session.")
    return requested


def format_retired_name(name: str, key_id: str, max_length: int) -> str:
    """Return the name of a key after its successor has taken over its name."""
    return f"{name[: max_length - len(key_id) - 1]}~{key_id}"
