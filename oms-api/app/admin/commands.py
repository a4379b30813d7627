"""The operator's commands. They use the same services as the REST API and are audited in the same way."""

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

from app.admin.master_key import current_key, replace_key
from app.clock import Now, iso
from app.database import declare_tenants, snapshot
from app.errors import NotFound
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
from app.identity.service.idempotent_operations import Administration, Asking, Change
from app.wire.body import validated

_MOST_LISTED = 1_000_000


class Done(NamedTuple):
    """The output: a sentence for standard error, and a secret or the lines of a list for standard output."""

    sentence: str = ""
    secret: str = ""
    lines: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Shell:
    """The context of a command. `who` is the operator's account. `ask_password` reads a new password."""

    engine: Engine
    administration: Administration
    now: Now
    who: str
    ask_password: Callable[[], str]

    def tenant(self, slug: str | None) -> TenantRow:
        """Return the tenant of that slug, or the first one for None. Raise NoSuchTenant."""
        with snapshot(self.engine) as connection:
            if slug is None:
                return tenant_queries.get_tenant(connection, FIRST_TENANT)
            return tenants.seen_tenant(connection, self.asking().caller, slug)

    def asking(self, tenant_id: int = FIRST_TENANT) -> Asking:
        """Return a request by the operator on the tenant."""
        person = f"shell:{self.who}"
        return Asking(Caller(tenant_id, "shell", "shell", frozenset(Scope), person=person), "shell")

    @contextmanager
    def looking_at(self, tenant_id: int) -> Iterator[Connection]:
        """Yield a connection with the tenant scope set."""
        with snapshot(self.engine) as connection:
            yield declare_tenants(connection, [tenant_id])

    async def change(self, work: Callable[[Connection, Asking, datetime], Change], tenant_id: int) -> Any:
        """Execute a change and return its response."""
        asking = self.asking(tenant_id)
        answer = await self.administration.change(
            asking, lambda connection, now: work(connection, asking, now)
        )
        return orjson.loads(answer.body)


async def create_tenant(shell: Shell, given: Namespace) -> Done:
    """Create a tenant."""
    wanted = validated(TenantIn, {"slug": given.slug, "name": given.name}).wanted()
    made = await shell.change(
        lambda connection, asking, now: tenants.create_tenant(connection, asking, wanted, now), FIRST_TENANT
    )
    return Done(f"Tenant {made['slug']!r} is made. Its first admin key is shown once.", made["api_key"])


async def suspend(shell: Shell, given: Namespace) -> Done:
    """Suspend a tenant."""
    return await _switch(shell, given.slug, {"status": "suspended"})


async def resume(shell: Shell, given: Namespace) -> Done:
    """Reactivate a tenant."""
    return await _switch(shell, given.slug, {"status": "active"})


async def create_user(shell: Shell, given: Namespace) -> Done:
    """Create a user. Without an e-mail address it has no password."""
    tenant_id = shell.tenant(given.tenant).id
    said = {name: getattr(given, name) for name in ("name", "role", "email", "person", "portfolios")}
    said["password"] = shell.ask_password() if given.email else None
    wanted = validated(UserIn, said).wanted()
    answer = await users.create_user(shell.administration, shell.asking(tenant_id), wanted)
    return Done(
        f"User {orjson.loads(answer.body)['id']} is made: {given.email or given.person}, {given.role}."
    )


async def reset_password(shell: Shell, given: Namespace) -> Done:
    """Set a password and end the user's sessions."""
    tenant_id = shell.tenant(given.tenant).id
    user = _user(shell, tenant_id, given.email)
    changes = validated(UserPatch, {"password": shell.ask_password()}).changes()
    await users.change_user(shell.administration, shell.asking(tenant_id), user, changes)
    return Done(f"{user.called} has the new password; all sessions of before are over.")


async def disable_user(shell: Shell, given: Namespace) -> Done:
    """Disable a user."""
    return await _change_user(shell, given, {"status": "disabled"})


async def enable_user(shell: Shell, given: Namespace) -> Done:
    """Enable a user."""
    return await _change_user(shell, given, {"status": "active"})


async def create_key(shell: Shell, given: Namespace) -> Done:
    """Create a key."""
    expires_at = iso(shell.now() + given.expires_in_days) if given.expires_in_days else None
    words = " ".join(given.scopes).replace(",", " ").split()
    said = {"name": given.name, "scopes": words, "expires_at": expires_at, "portfolios": given.portfolios}
    wanted = validated(KeyIn, said).wanted()
    made = await shell.change(
        lambda connection, asking, now: api_keys.create_key(connection, asking, wanted, now),
        shell.tenant(given.tenant).id,
    )
    return Done(f"Key {made['name']!r} ({made['key_id']}) is made. It is shown once.", made["key"])


async def revoke_key(shell: Shell, given: Namespace) -> Done:
    """Revoke a key."""
    tenant_id = shell.tenant(given.tenant).id
    key = _key(shell, tenant_id, given.name)
    await shell.change(
        lambda connection, asking, now: api_keys.change_key(
            connection, asking, key.key_id, None, now, revoked=True
        ),
        tenant_id,
    )
    return Done(f"Key {key.name!r} ({key.key_id}) is revoked; within a second it opens nothing.")


async def rotate_key(shell: Shell, given: Namespace) -> Done:
    """Replace a key by a new one."""
    tenant_id = shell.tenant(given.tenant).id
    key, wanted = _key(shell, tenant_id, given.name), Rotation(given.overlap_seconds)
    made = await shell.change(
        lambda connection, asking, now: api_keys.rotate_key(connection, asking, key.key_id, wanted, now),
        tenant_id,
    )
    overlap = f"The old one works {given.overlap_seconds} s more."
    return Done(f"Key {key.name!r} is {made['key_id']} now, shown once. {overlap}", made["key"])


async def rotate_master_key(shell: Shell, given: Namespace) -> Done:
    """Replace OMS_API_KEY. Restart the service with both keys afterwards."""
    file = Path(given.env_file) if given.env_file else None
    if file:
        current_key(file)
    await shell.change(_show_master_key, FIRST_TENANT)
    new = make_key(secrets.choice)
    if file is None:
        return Done("Set OMS_API_KEY to it, OMS_API_KEY_PREVIOUS to the key of before, and restart.", new)
    replace_key(file, new)
    after = (
        "Restart the service, give the new key to whoever uses the old one, then remove OMS_API_KEY_PREVIOUS."
    )
    return Done(f"{file} holds a new OMS_API_KEY, and the old one as OMS_API_KEY_PREVIOUS. {after}")


async def list_all(shell: Shell, given: Namespace) -> Done:
    """List tenants, or a tenant's users or keys."""
    tenant_id = shell.tenant(given.tenant).id
    with shell.looking_at(tenant_id) as connection:
        if given.what == "tenants":
            rows = [_tenant_line(row) for row in tenant_queries.list_tenants(connection, _MOST_LISTED, None)]
        elif given.what == "users":
            found = user_queries.list_users(connection, tenant_id, UserFilter(), _MOST_LISTED, None)
            rows = [_user_line(row) for row in found]
        else:
            now = shell.now()
            listed = key_queries.list_key_rows(connection, tenant_id, _MOST_LISTED, None)
            rows = [_key_line(facts) for facts in api_keys.keys_facts(connection, tenant_id, listed, now)]
    return Done(lines=tuple(rows))


COMMANDS: dict[str, Callable[[Shell, Namespace], Coroutine[Any, Any, Done]]] = {
    "create-tenant": create_tenant,
    "suspend": suspend,
    "resume": resume,
    "create-user": create_user,
    "reset-password": reset_password,
    "reset": reset_password,
    "disable-user": disable_user,
    "enable-user": enable_user,
    "create-key": create_key,
    "revoke-key": revoke_key,
    "rotate-key": rotate_key,
    "rotate-master-key": rotate_master_key,
    "list": list_all,
}


async def _switch(shell: Shell, slug: str, changes: TenantChanges) -> Done:
    await shell.change(
        lambda connection, asking, now: tenants.change_tenant(connection, asking, slug, changes, now),
        FIRST_TENANT,
    )
    return Done(f"Tenant {slug!r} is {changes['status']}.")


async def _change_user(shell: Shell, given: Namespace, changes: UserChanges) -> Done:
    tenant_id = shell.tenant(given.tenant).id
    user = _user(shell, tenant_id, given.email)
    await users.change_user(shell.administration, shell.asking(tenant_id), user, changes)
    return Done(f"{user.called} is {changes['status']}.")


def _show_master_key(_: Connection, asking: Asking, now: datetime) -> Change:
    return Change({}, [asking.entry(now, "installation.rotated", "OMS_API_KEY")])


def _user(shell: Shell, tenant_id: int, called: str) -> UserRow:
    wanted = called.strip().lower()
    with shell.looking_at(tenant_id) as connection:
        found = user_queries.list_users(connection, tenant_id, UserFilter(wanted), _MOST_LISTED, None)
    for user in found:
        if wanted in {user.email, (user.person or "").lower()}:
            return user
    raise NotFound(f"There is no user {called!r}.")


def _key(shell: Shell, tenant_id: int, named: str) -> KeyRow:
    with shell.looking_at(tenant_id) as connection:
        listed = key_queries.list_key_rows(connection, tenant_id, _MOST_LISTED, None)
    for key in listed:
        if named in {key.name, key.key_id}:
            return key
    raise NoSuchKey(named)


def _tenant_line(row: TenantRow) -> str:
    return f"{row.slug:<30} {row.status:<10} {row.name}"


def _user_line(row: UserRow) -> str:
    return f"{row.id:<8} {row.role:<9} {row.status:<9} {row.called:<40} {row.name}"


def _key_line(facts: dict[str, Any]) -> str:
    until = facts["expires_at"] or "never"
    return (
        f"{facts['key_id']} {facts['name']:<30} {facts['state']:<8} {until:<27} {' '.join(facts['scopes'])}"
    )
