"""The operator's commands. They call the services of the REST API, which write the same audit entries."""

import secrets
from argparse import Namespace
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

import orjson
from sqlalchemy import Connection, Engine

from app.admin.master_key import read_current_key, replace_key
from app.clock import Now
from app.database import snapshot
from app.errors import NotFound
from app.http.body import validate_model
from app.identity.errors import NoSuchKey
from app.identity.queries import keys as key_queries
from app.identity.queries import tenants as tenant_queries
from app.identity.queries import users as user_queries
from app.identity.queries.keys import KeyRow
from app.identity.queries.tenants import TenantRow
from app.identity.queries.users import UserFilter, UserRow
from app.identity.rules.access import FIRST_TENANT, Caller, Scope
from app.identity.rules.administration import Rotation, TenantChanges, UserChanges
from app.identity.rules.keys import make_key
from app.identity.schemas.keys import KeyIn
from app.identity.schemas.tenants import TenantIn
from app.identity.schemas.users import UserIn, UserPatch
from app.identity.service import api_keys, tenants, users
from app.identity.service.change_executor import (
    Arguments,
    ChangeExecutor,
    ChangeFunction,
    ChangeRequest,
    ChangeResult,
)
from app.timestamps import format_timestamp

_MAX_LISTED = 1_000_000


class CommandResult(NamedTuple):
    """The output: a sentence for standard error, and a secret or the lines of a list for standard output."""

    sentence: str = ""
    secret: str = ""
    lines: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class CommandContext:
    """The context of a command. `operator` is the operator's account. `ask_password` reads a new password."""

    engine: Engine
    change_executor: ChangeExecutor
    now: Now
    operator: str
    ask_password: Callable[[], str]

    def get_tenant(self, slug: str | None) -> TenantRow:
        """Return the tenant of that slug, or the first one for None. Raises NoSuchTenant."""
        with snapshot(self.engine) as connection:
            if slug is None:
                return tenant_queries.get_tenant(connection, FIRST_TENANT)
            return tenants.get_visible_tenant(connection, self.build_request().caller, slug)

    def build_request(self, tenant_id: int = FIRST_TENANT) -> ChangeRequest:
        """Build a request of the operator for the tenant."""
        person = f"shell:{self.operator}"
        return ChangeRequest(Caller(tenant_id, "shell", "shell", frozenset(Scope), person=person), "shell")

    @contextmanager
    def connect_as_tenant(self, tenant_id: int) -> Iterator[Connection]:
        """Yield a connection with the tenant scope set."""
        with snapshot(self.engine, tenant_id) as connection:
            yield connection

    async def execute(
        self, tenant_id: int, change: ChangeFunction[*Arguments], *arguments: *Arguments
    ) -> Any:
        """Execute a change and return its response."""
        request = self.build_request(tenant_id)
        response = await self.change_executor.execute(request, change, *arguments)
        return orjson.loads(response.body)


async def create_tenant(command_context: CommandContext, options: Namespace) -> CommandResult:
    """Create a tenant."""
    parameters = validate_model(TenantIn, {"slug": options.slug, "name": options.name}).to_parameters()
    tenant = await command_context.execute(FIRST_TENANT, tenants.create_tenant, parameters)
    return CommandResult(
        f"Tenant {tenant['slug']!r} is created. Its first admin key is shown once.", tenant["api_key"]
    )


async def suspend_tenant(command_context: CommandContext, options: Namespace) -> CommandResult:
    """Suspend a tenant."""
    return await _update_tenant(command_context, options.slug, {"status": "suspended"})


async def resume_tenant(command_context: CommandContext, options: Namespace) -> CommandResult:
    """Reactivate a tenant."""
    return await _update_tenant(command_context, options.slug, {"status": "active"})


async def create_user(command_context: CommandContext, options: Namespace) -> CommandResult:
    """Create a user. A user without an e-mail address has no password."""
    tenant_id = command_context.get_tenant(options.tenant).id
    values = {name: getattr(options, name) for name in ("name", "role", "email", "person", "portfolios")}
    values["password"] = command_context.ask_password() if options.email else None
    parameters = validate_model(UserIn, values).to_parameters()
    user = await users.create_user(
        command_context.change_executor, command_context.build_request(tenant_id), parameters
    )
    return CommandResult(
        f"User {orjson.loads(user.body)['id']} is created: {options.email or options.person}, {options.role}."
    )


async def reset_password(command_context: CommandContext, options: Namespace) -> CommandResult:
    """Set a password and end the user's sessions."""
    tenant_id = command_context.get_tenant(options.tenant).id
    user = find_user(command_context, tenant_id, options.user)
    changes = validate_model(UserPatch, {"password": command_context.ask_password()}).to_changes()
    await users.update_user(
        command_context.change_executor, command_context.build_request(tenant_id), user, changes
    )
    return CommandResult(f"{user.audit_name} has the new password. All earlier sessions have ended.")


async def disable_user(command_context: CommandContext, options: Namespace) -> CommandResult:
    """Disable a user."""
    return await _change_user(command_context, options, {"status": "disabled"})


async def enable_user(command_context: CommandContext, options: Namespace) -> CommandResult:
    """Enable a user."""
    return await _change_user(command_context, options, {"status": "active"})


async def create_key(command_context: CommandContext, options: Namespace) -> CommandResult:
    """Create a key."""
    expires_at = (
        format_timestamp(command_context.now() + options.expires_in_days) if options.expires_in_days else None
    )
    scope_names = " ".join(options.scopes).replace(",", " ").split()
    values = {
        "name": options.name,
        "scopes": scope_names,
        "expires_at": expires_at,
        "portfolios": options.portfolios,
    }
    parameters = validate_model(KeyIn, values).to_parameters()
    tenant_id = command_context.get_tenant(options.tenant).id
    key_fields = await command_context.execute(tenant_id, api_keys.create_key, parameters)
    return CommandResult(
        f"Key {key_fields['name']!r} ({key_fields['key_id']}) is created. It is shown once.",
        key_fields["key"],
    )


async def revoke_key(command_context: CommandContext, options: Namespace) -> CommandResult:
    """Revoke a key."""
    tenant_id = command_context.get_tenant(options.tenant).id
    key = _find_key(command_context, tenant_id, options.name)
    await command_context.execute(tenant_id, api_keys.update_key, key.key_id, None, True)
    return CommandResult(f"Key {key.name!r} ({key.key_id}) is revoked, effective within one second.")


async def rotate_key(command_context: CommandContext, options: Namespace) -> CommandResult:
    """Replace a key by a new one."""
    tenant_id = command_context.get_tenant(options.tenant).id
    key = _find_key(command_context, tenant_id, options.name)
    rotation = Rotation(options.overlap_seconds)
    key_fields = await command_context.execute(tenant_id, api_keys.rotate_key, key.key_id, rotation)
    overlap = f"The old key is valid for {options.overlap_seconds} s more."
    return CommandResult(
        f"Key {key.name!r} is now {key_fields['key_id']}. It is shown once. {overlap}", key_fields["key"]
    )


async def rotate_master_key(command_context: CommandContext, options: Namespace) -> CommandResult:
    """Replace OMS_API_KEY. Restart the service with both keys afterwards."""
    file = Path(options.env_file) if options.env_file else None
    if file:
        read_current_key(file)
    await command_context.execute(FIRST_TENANT, _record_key_rotation)
    new_key = make_key(secrets.choice)
    if file is None:
        return CommandResult(
            "Set OMS_API_KEY to it and OMS_API_KEY_PREVIOUS to the previous key, then restart.", new_key
        )
    replace_key(file, new_key)
    after = "Restart the service, replace the old key at its clients, then remove OMS_API_KEY_PREVIOUS."
    return CommandResult(f"{file} has a new OMS_API_KEY, and the old one as OMS_API_KEY_PREVIOUS. {after}")


async def list_resources(command_context: CommandContext, options: Namespace) -> CommandResult:
    """List tenants, or a tenant's users or keys."""
    tenant_id = command_context.get_tenant(options.tenant).id
    with command_context.connect_as_tenant(tenant_id) as connection:
        if options.resource == "tenants":
            rows = [_format_tenant(row) for row in tenant_queries.list_tenants(connection, _MAX_LISTED, None)]
        elif options.resource == "users":
            users = user_queries.list_users(connection, tenant_id, UserFilter(), _MAX_LISTED, None)
            rows = [_format_user(row) for row in users]
        else:
            now = command_context.now()
            keys = key_queries.list_key_rows(connection, tenant_id, _MAX_LISTED, None)
            rows = [
                _format_key(fields) for fields in api_keys.serialize_keys(connection, tenant_id, keys, now)
            ]
    return CommandResult(lines=tuple(rows))


COMMANDS: dict[str, Callable[[CommandContext, Namespace], Coroutine[Any, Any, CommandResult]]] = {
    "create-tenant": create_tenant,
    "suspend": suspend_tenant,
    "resume": resume_tenant,
    "create-user": create_user,
    "reset-password": reset_password,
    "reset": reset_password,
    "disable-user": disable_user,
    "enable-user": enable_user,
    "create-key": create_key,
    "revoke-key": revoke_key,
    "rotate-key": rotate_key,
    "rotate-master-key": rotate_master_key,
    "list": list_resources,
}


async def _update_tenant(command_context: CommandContext, slug: str, changes: TenantChanges) -> CommandResult:
    await command_context.execute(FIRST_TENANT, tenants.update_tenant, slug, changes)
    return CommandResult(f"Tenant {slug!r} is {changes['status']}.")


async def _change_user(
    command_context: CommandContext, options: Namespace, changes: UserChanges
) -> CommandResult:
    tenant_id = command_context.get_tenant(options.tenant).id
    user = find_user(command_context, tenant_id, options.user)
    await users.update_user(
        command_context.change_executor, command_context.build_request(tenant_id), user, changes
    )
    return CommandResult(f"{user.audit_name} is {changes['status']}.")


def _record_key_rotation(_: Connection, request: ChangeRequest, now: datetime) -> ChangeResult:
    return ChangeResult({}, [request.build_audit_entry(now, "installation.rotated", "OMS_API_KEY")])


def find_user(command_context: CommandContext, tenant_id: int, email_or_person: str) -> UserRow:
    """Return the user with that e-mail address or Slack identity. Raises NotFound."""
    search_text = email_or_person.strip().lower()
    with command_context.connect_as_tenant(tenant_id) as connection:
        users = user_queries.list_users(connection, tenant_id, UserFilter(search_text), _MAX_LISTED, None)
    for user in users:
        if search_text in {user.email, (user.person or "").lower()}:
            return user
    raise NotFound(f"There is no user {email_or_person!r}; see `python -m app.admin list`.")


def _find_key(command_context: CommandContext, tenant_id: int, name: str) -> KeyRow:
    with command_context.connect_as_tenant(tenant_id) as connection:
        keys = key_queries.list_key_rows(connection, tenant_id, _MAX_LISTED, None)
    for key in keys:
        if name in {key.name, key.key_id}:
            return key
    raise NoSuchKey(name)


def _format_tenant(row: TenantRow) -> str:
    return f"{row.slug:<30} {row.status:<10} {row.name}"


def _format_user(row: UserRow) -> str:
    return f"{row.id:<8} {row.role:<9} {row.status:<9} {row.audit_name:<40} {row.name}"


def _format_key(fields: dict[str, Any]) -> str:
    until = fields["expires_at"] or "never"
    scopes = " ".join(fields["scopes"])
    return f"{fields['key_id']} {fields['name']:<30} {fields['state']:<8} {until:<27} {scopes}"
