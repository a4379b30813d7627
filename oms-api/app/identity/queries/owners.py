"""Owners of alerts, preferences and webhooks: what they may do now, and what names a key that is renamed.

An owner is an actor: a person ("slack:T1:U1" or an e-mail address), or "key:" and the name of a key. A key
that is set in the environment has no row; it stays valid.
"""

from datetime import datetime
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    TableClause,
    column,
    func,
    or_,
    select,
    table,
    update,
)

from app.identity.models import ApiKey, PortfolioGrant, Tenant, User

KEY_PREFIX = "key:"
# The tables of other packages. A renaming uses only these columns.
_WEBHOOKS, _ALERTS, _PREFERENCES = (
    table(name, column("tenant_id"), column("owner")) for name in ("webhooks", "alerts", "preferences")
)
_LIMITS = table("limits", column("tenant_id"), column("scope"), column("name"))
_LATCHES = table("latches", column("tenant_id"), column("scope"), column("name"), column("released_at"))


def build_activity_condition(tenant_id: Any, owner: Any, now: datetime) -> ColumnElement[bool]:
    """Return the condition that the owner and the tenant of a row are active. The arguments are columns."""
    tenant = select(Tenant.id).where(Tenant.id == tenant_id, Tenant.status == "active")
    is_inactive = or_(User.status != "active", User.slack_status != "active")
    has_ended = or_(ApiKey.revoked_at.is_not(None), ApiKey.expires_at <= now)
    return (
        tenant.exists()
        & ~_select_users(tenant_id, User.person == owner).where(is_inactive).exists()
        & ~_select_users(tenant_id, User.email == owner).where(is_inactive).exists()
        & ~_select_keys(tenant_id, owner).where(has_ended).exists()
    )


def build_visibility_condition(tenant_id: Any, owner: Any, portfolio_key: Any) -> ColumnElement[bool]:
    """Return the condition that the owner of a row may see a portfolio. The arguments are columns."""
    select_grant = select(PortfolioGrant.id).where(
        PortfolioGrant.tenant_id == tenant_id, PortfolioGrant.portfolio_key == portfolio_key
    )
    has_user_grant = select_grant.where(PortfolioGrant.user_id == User.id).correlate_except(PortfolioGrant)
    has_key_grant = select_grant.where(PortfolioGrant.key_id == ApiKey.key_id).correlate_except(
        PortfolioGrant
    )
    is_excluded = User.is_narrowed.is_(True) & ~has_user_grant.exists()
    is_key_excluded = ApiKey.is_narrowed.is_(True) & ~has_key_grant.exists()
    return (
        ~_select_users(tenant_id, User.person == owner).where(is_excluded).exists()
        & ~_select_users(tenant_id, User.email == owner).where(is_excluded).exists()
        & ~_select_keys(tenant_id, owner).where(is_key_excluded).exists()
    )


def has_limits_or_latches(connection: Connection, tenant_id: int, key_name: str) -> bool:
    """Return whether limits or active latches name the key."""
    limits = select(_LIMITS.c.name).where(
        _LIMITS.c.tenant_id == tenant_id,
        _LIMITS.c.scope == "user",
        func.lower(_LIMITS.c.name) == f"{KEY_PREFIX}{key_name}".lower(),
    )
    latches = select(_LATCHES.c.name).where(
        _LATCHES.c.tenant_id == tenant_id,
        _LATCHES.c.scope == "key",
        _LATCHES.c.name == key_name,
        _LATCHES.c.released_at.is_(None),
    )
    return any(connection.execute(query.limit(1)).first() is not None for query in (limits, latches))


def rename_key_owner(connection: Connection, tenant_id: int, previous: str, current: str) -> None:
    """Give what the key with the name `previous` owns to its new name.

    Preferences that a key with the new name left once are kept instead of its own.
    """
    before, after = f"{KEY_PREFIX}{previous}", f"{KEY_PREFIX}{current}"
    remaining_preferences = select(_PREFERENCES.c.owner).where(*_is_owned(_PREFERENCES, tenant_id, after))
    renamed = [(_WEBHOOKS, previous, current), (_ALERTS, before, after)]
    if connection.execute(remaining_preferences).first() is None:
        renamed.append((_PREFERENCES, before, after))
    for owned, old, new in renamed:
        connection.execute(update(owned).where(*_is_owned(owned, tenant_id, old)).values(owner=new))


def _is_owned(owned: TableClause, tenant_id: int, owner: str) -> tuple[ColumnElement[bool], ...]:
    return (owned.c.tenant_id == tenant_id, owned.c.owner == owner)


def _select_users(tenant_id: Any, is_owner: ColumnElement[bool]) -> Select[Any]:
    return select(User.id).where(User.tenant_id == tenant_id, is_owner).correlate_except(User)


def _select_keys(tenant_id: Any, owner: Any) -> Select[Any]:
    """Return the query of the key that is the owner; none if the owner is a person."""
    is_owner = (ApiKey.name == func.substr(owner, len(KEY_PREFIX) + 1), owner.startswith(KEY_PREFIX))
    return select(ApiKey.key_id).where(ApiKey.tenant_id == tenant_id, *is_owner).correlate_except(ApiKey)
