"""Create, rename, revoke and rotate the API keys of a tenant."""

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection

from app.audit.rules.entries import AuditValues
from app.errors import FieldError, Invalid
from app.identity.errors import KeyHasLimits, KeyNameTaken, KeyNotActive, NoSuchKeyId
from app.identity.queries import keys as queries
from app.identity.queries.keys import KeyRow
from app.identity.queries.owners import has_limits_or_latches, rename_key_owner
from app.identity.rules.access import Caller, Scope, expand_scopes
from app.identity.rules.administration import (
    NewKey,
    Rotation,
    compute_granted_expiry,
    format_retired_name,
    require_scopes,
)
from app.identity.rules.keys import NAME_LENGTH, get_key_state
from app.identity.service.change_executor import ChangeRequest, ChangeResult
from app.identity.service.grants import list_granted_portfolios, replace_portfolios, require_admin
from app.identity.service.keys import get_key_id, store_new_key
from app.text import label_key
from app.timestamps import format_optional_timestamp, format_timestamp


def create_key(
    connection: Connection, request: ChangeRequest, parameters: NewKey, now: datetime
) -> ChangeResult:
    """Create a key, which is shown once. Raises KeyNameTaken, RightsExceeded or Invalid."""
    caller = request.caller
    require_scopes(caller, expand_scopes(parameters.scopes))
    expires_at = _compute_expiry(
        caller, parameters.expires_at, now, is_expiry_given=parameters.is_expiry_given
    )
    key = store_new_key(
        connection,
        parameters.name,
        " ".join(parameters.scopes),
        now,
        caller.tenant_id,
        expires_at,
        is_narrowed=parameters.portfolios is not None,
        created_by=caller.actor,
    )
    portfolios = replace_portfolios(connection, caller, "key_id", get_key_id(key), parameters.portfolios)
    key_row = get_key(connection, caller.tenant_id, get_key_id(key))
    entry = request.build_audit_entry(
        now, "key.created", _build_target(key_row), None, _serialize(key_row, portfolios)
    )
    return ChangeResult(
        _serialize_key(key_row, portfolios, now) | {"key": key}, [entry], 201, shows_secret=True
    )


def update_key(
    connection: Connection,
    request: ChangeRequest,
    key_id: str,
    name: str | None,
    is_revoked: bool,
    now: datetime,
) -> ChangeResult:
    """Rename or revoke a key. A revoked key becomes invalid within one second.

    A renamed key keeps its webhooks, alerts and preferences. A key that limits or latches name is not
    renamed, because they would stop applying to it.

    Raises NoSuchKeyId, KeyNameTaken, KeyHasLimits or LastAdmin.
    """
    tenant_id = request.caller.tenant_id
    before = get_key(connection, tenant_id, key_id)
    changes: dict[str, Any] = {}
    entries = []
    if name is not None and name != before.name:
        is_other = label_key(name) != label_key(before.name)
        if is_other and queries.is_name_taken(connection, tenant_id, name):
            raise KeyNameTaken(name)
        if has_limits_or_latches(connection, tenant_id, before.name):
            raise KeyHasLimits(before.name)
        changes["name"] = name
        entries.append(
            request.build_audit_entry(
                now, "key.renamed", _build_target(before), {"name": before.name}, {"name": name}
            )
        )
    if is_revoked and before.revoked_at is None:
        changes["revoked_at"] = now
        entries.append(
            request.build_audit_entry(
                now, "key.revoked", _build_target(before), None, {"name": name or before.name}
            )
        )
    if changes:
        queries.update_key(connection, tenant_id, key_id, changes)
        if "name" in changes:
            rename_key_owner(connection, tenant_id, before.name, changes["name"])
        require_admin(connection, request.caller, now)
    [after] = serialize_keys(connection, tenant_id, [get_key(connection, tenant_id, key_id)], now)
    return ChangeResult(after, entries)


def rotate_key(
    connection: Connection, request: ChangeRequest, key_id: str, parameters: Rotation, now: datetime
) -> ChangeResult:
    """Replace a key by a new one, shown once, with its name and rights.

    The old key stays valid for the overlap. Raises NoSuchKeyId, KeyNotActive, RightsExceeded or Invalid.
    """
    caller, tenant_id = request.caller, request.caller.tenant_id
    old = get_key(connection, tenant_id, key_id)
    if get_key_state(old.expires_at, old.revoked_at, now) != "live" or queries.has_successor(
        connection, tenant_id, key_id
    ):
        raise KeyNotActive(old.name)
    require_scopes(caller, map(Scope, old.scopes.split()))
    names = (
        list_granted_portfolios(connection, tenant_id, "key_id", [key_id])[key_id]
        if old.is_narrowed
        else None
    )
    expires_at = _compute_expiry(
        caller,
        parameters.expires_at if parameters.is_expiry_given else old.expires_at,
        now,
        is_expiry_given=True,
    )
    ends_at = now + timedelta(seconds=parameters.overlap_seconds)
    ends_at = min(ends_at, old.expires_at or ends_at)
    retired = format_retired_name(old.name, key_id, NAME_LENGTH)
    queries.update_key(connection, tenant_id, key_id, {"name": retired, "expires_at": ends_at})
    key = store_new_key(
        connection, old.name, old.scopes, now, tenant_id, expires_at,
        is_narrowed=old.is_narrowed, created_by=caller.actor, rotated_from=key_id,
    )  # fmt: skip
    replace_portfolios(connection, caller, "key_id", get_key_id(key), names)
    key_row = get_key(connection, tenant_id, get_key_id(key))
    before, after = (
        {"key_id": key_id},
        {"key_id": key_row.key_id, "old_expires_at": format_timestamp(ends_at)},
    )
    entry = request.build_audit_entry(
        now, "key.rotated", _build_target(old), before, after | _serialize(key_row, names)
    )
    return ChangeResult(_serialize_key(key_row, names, now) | {"key": key}, [entry], 201, shows_secret=True)


def get_key(connection: Connection, tenant_id: int, key_id: str) -> KeyRow:
    """Return a key. Raises NoSuchKeyId."""
    key_row = queries.find_key_row(connection, tenant_id, key_id)
    if key_row is None:
        raise NoSuchKeyId(key_id)
    return key_row


def serialize_keys(
    connection: Connection, tenant_id: int, keys: list[KeyRow], now: datetime
) -> list[dict[str, Any]]:
    """Serialize keys for administrators, with the names of their portfolios."""
    portfolio_names = list_granted_portfolios(
        connection, tenant_id, "key_id", [key.key_id for key in keys if key.is_narrowed]
    )
    return [_serialize_key(key, portfolio_names.get(key.key_id), now) for key in keys]


def _compute_expiry(
    caller: Caller, parameters: datetime | None, now: datetime, *, is_expiry_given: bool
) -> datetime | None:
    expires_at = compute_granted_expiry(caller, parameters, is_expiry_given=is_expiry_given)
    if expires_at is not None and expires_at <= now:
        message = "Must be in the future."
        raise Invalid("`expires_at` must be in the future.", [FieldError("expires_at", message, "past")])
    return expires_at


def _serialize_key(key: KeyRow, portfolios: list[str] | None, now: datetime) -> dict[str, Any]:
    times = {
        name: format_optional_timestamp(getattr(key, name))
        for name in ("created_at", "expires_at", "revoked_at", "last_used_at")
    }
    return {
        "key_id": key.key_id,
        "name": key.name,
        "scopes": sorted(key.scopes.split()),
        "state": get_key_state(key.expires_at, key.revoked_at, now),
        **times,
        "portfolios": portfolios,
        "rotated_from": key.rotated_from,
        "created_by": key.created_by,
    }


def _serialize(key: KeyRow, portfolios: list[str] | None) -> AuditValues:
    return {
        "key_id": key.key_id,
        "name": key.name,
        "scopes": sorted(key.scopes.split()),
        "expires_at": format_optional_timestamp(key.expires_at),
        "portfolios": portfolios,
    }


def _build_target(key: KeyRow) -> str:
    return f"key:{key.name}"
