"""What administrators ask for, and how much of it they may give: never more than they have themselves."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple, TypedDict

from app.identity.errors import TooBroad
from app.identity.rules.access import SCOPES_OF_ROLE, Caller, Role, Scope

MOST_PORTFOLIOS = 90  # that one can be narrowed to; their names fit an entry of the audit trail


class Place(NamedTuple):
    """Where a list, newest first, goes on: after what was made then, and has that id."""

    created_at: datetime
    id: str


@dataclass(frozen=True, slots=True)
class NewTenant:
    """A tenant to be made."""

    slug: str
    name: str


class TenantChanges(TypedDict, total=False):
    """What is to change of a tenant; what is not there stays."""

    name: str
    slack_default_role: str | None
    base_currency: str
    status: str


@dataclass(frozen=True, slots=True)
class NewUser:
    """A user to be made; `portfolios` are names, None for all."""

    name: str
    role: Role
    email: str | None = None
    person: str | None = None
    password: str | None = field(default=None, repr=False)
    portfolios: tuple[str, ...] | None = None


class UserChanges(TypedDict, total=False):
    """What is to change of a user; what is not there stays."""

    name: str
    role: str
    status: str
    password: str
    portfolios: list[str] | None


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key to be made. Where nothing `is_said` of its expiry, it expires with whoever makes it."""

    name: str
    scopes: frozenset[Scope]
    expires_at: datetime | None = None
    portfolios: tuple[str, ...] | None = None
    is_said: bool = False


@dataclass(frozen=True, slots=True)
class Rotation:
    """How a key is followed by another: the old one works for so many seconds more. Where nothing `is_said`
    of the new one's expiry, it is that of the old.
    """

    overlap_seconds: int
    expires_at: datetime | None = None
    is_said: bool = False


def require_scopes(caller: Caller, scopes: Iterable[Scope]) -> None:
    """Raise TooBroad unless the caller has all of these scopes."""
    beyond = sorted(set(scopes) - caller.scopes)
    if beyond:
        raise TooBroad(
            f"You cannot give {', '.join(map(repr, map(str, beyond)))}: you do not have it yourself."
        )


def require_role(caller: Caller, *roles: Role) -> None:
    """Raise TooBroad unless the caller has all that these roles may."""
    require_scopes(caller, frozenset[Scope]().union(*(SCOPES_OF_ROLE[role] for role in roles)))


def require_portfolios(caller: Caller, name_keys: Collection[str] | None) -> None:
    """Raise TooBroad where that is wider than the portfolios the caller is narrowed to."""
    if caller.portfolios is None:
        return
    if name_keys is None or not caller.portfolios.issuperset(name_keys):
        raise TooBroad("You cannot give more portfolios than those that you are narrowed to.")


def granted_expiry(caller: Caller, wanted: datetime | None, *, is_said: bool) -> datetime | None:
    """Return when what the caller gives expires: as wanted, and where nothing was said with the caller.

    Raises TooBroad for what would outlive the caller.
    """
    own = caller.expires_at
    if own is None:
        return wanted
    if wanted is None and not is_said:
        return own
    if wanted is None or wanted > own:
        raise TooBroad("You cannot give what outlives your own key or session: see expires_at.")
    return wanted


def retired_name(name: str, key_id: str, most: int) -> str:
    """Return what a key is called once its successor has its name."""
    return f"{name[: most - len(key_id) - 1]}~{key_id}"
