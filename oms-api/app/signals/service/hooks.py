"""Create, rotate and delete hooks, and find the hook of a token."""

import hashlib
import ipaddress
import secrets
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import Connection

from app.database import Readers, set_all_tenants_scope
from app.identity.service.change_executor import ChangeRequest, ChangeResult
from app.signals.errors import NoSuchHook, TooManyHooks
from app.signals.queries import hooks as queries
from app.signals.queries.hooks import HOOKS, Hook
from app.signals.rules.values import HookTerms
from app.timestamps import format_optional_timestamp, format_timestamp

MAX_HOOKS = 100  # per tenant
_TOKEN_BYTES = 32
_TOKEN_PREFIX = "sigh_"  # noqa: S105  # not a secret


async def find_hook_by_token(readers: Readers, token: str, address: str) -> Hook | None:
    """Return the hook of a token if the address may send to it."""
    token_hash = _hash_token(token)
    hook = await readers.run(
        lambda connection: queries.find_hook_by_token(set_all_tenants_scope(connection), token_hash)
    )
    return hook if hook is not None and is_allowed(hook.networks, address) else None


def is_allowed(networks: str | None, address: str) -> bool:
    """Return whether an address is in one of the networks, which are separated by spaces; None: all are."""
    if networks is None:
        return True
    try:
        ip_address = ipaddress.ip_address(address)
    except ValueError:
        return False
    return any(ip_address in ipaddress.ip_network(network) for network in networks.split())


def create_hook(
    connection: Connection, request: ChangeRequest, terms: HookTerms, now: datetime
) -> ChangeResult:
    """Create a hook. Its token is shown once. Raises TooManyHooks."""
    caller = request.caller
    if HOOKS.count(connection, tenant_id=caller.tenant_id) >= MAX_HOOKS:
        raise TooManyHooks(MAX_HOOKS)
    token = _generate_token()
    hook = Hook(
        id=f"sh_{secrets.token_hex(8)}",
        tenant_id=caller.tenant_id,
        name=terms.name,
        token_hash=_hash_token(token),
        strategy=terms.strategy,
        template=terms.template,
        paths=None if terms.paths is None else orjson.dumps(terms.paths).decode(),
        networks=None if terms.networks is None else " ".join(terms.networks),
        max_age_seconds=terms.max_age_seconds,
        created_by=caller.actor,
        created_at=now,
        rotated_at=None,
    )
    HOOKS.insert(connection, hook)
    entry = request.build_audit_entry(
        now, "signal_hook.created", _build_target(hook), None, {"name": hook.name}
    )
    return ChangeResult(serialize_hook(hook) | _serialize_token(token), [entry], 201, shows_secret=True)


def rotate_hook(connection: Connection, request: ChangeRequest, hook_id: str, now: datetime) -> ChangeResult:
    """Replace the token of a hook by a new one, shown once. The old one is unknown at once."""
    hook = _get_hook(connection, request, hook_id)
    token = _generate_token()
    changes: dict[str, Any] = {"token_hash": _hash_token(token), "rotated_at": now}
    HOOKS.update(connection, changes, tenant_id=hook.tenant_id, id=hook.id)
    entry = request.build_audit_entry(
        now, "signal_hook.rotated", _build_target(hook), None, {"name": hook.name}
    )
    return ChangeResult(
        serialize_hook(hook._replace(**changes)) | _serialize_token(token), [entry], 201, shows_secret=True
    )


def delete_hook(connection: Connection, request: ChangeRequest, hook_id: str, now: datetime) -> ChangeResult:
    """Delete a hook. Its signals are kept."""
    hook = _get_hook(connection, request, hook_id)
    HOOKS.delete(connection, tenant_id=hook.tenant_id, id=hook.id)
    entry = request.build_audit_entry(
        now, "signal_hook.deleted", _build_target(hook), {"name": hook.name}, None
    )
    return ChangeResult({}, [entry], 204)


def serialize_hook(hook: Hook) -> dict[str, Any]:
    """Serialize a hook without its token."""
    return {
        "id": hook.id,
        "name": hook.name,
        "strategy": hook.strategy,
        "template": hook.template,
        "paths": None if hook.paths is None else orjson.loads(hook.paths),
        "allowed_networks": None if hook.networks is None else hook.networks.split(),
        "max_age_seconds": hook.max_age_seconds,
        "created_by": hook.created_by,
        "created_at": format_timestamp(hook.created_at),
        "rotated_at": format_optional_timestamp(hook.rotated_at),
    }


def _get_hook(connection: Connection, request: ChangeRequest, hook_id: str) -> Hook:
    hook = HOOKS.find(connection, tenant_id=request.caller.tenant_id, id=hook_id)
    if hook is None:
        raise NoSuchHook(hook_id)
    return hook


def _generate_token() -> str:
    return _TOKEN_PREFIX + secrets.token_urlsafe(_TOKEN_BYTES)


def _hash_token(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


def _serialize_token(token: str) -> dict[str, Any]:
    return {"token": token, "path": f"/api/v1/signals/hook/{token}"}


def _build_target(hook: Hook) -> str:
    return f"signal_hook:{hook.id}"
