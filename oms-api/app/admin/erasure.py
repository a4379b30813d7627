"""The command that erases a person, and puts a pseudonym in the place of the name."""

import secrets
from argparse import Namespace
from datetime import datetime

from sqlalchemy import Connection

from app.admin.commands import CommandContext, CommandResult, find_user
from app.alerts.queries import ALERTS
from app.identity.rules.people import ERASED_PREFIX
from app.identity.service.change_executor import ChangeRequest, ChangeResult
from app.identity.service.erasure import Erasure, erase_user
from app.preferences.queries import delete_preferences

_KEPT = (
    "Trades, orders, events and the audit log keep the ID under which the person acted: the Slack identity, "
    "or the e-mail address of a user who logged in. Hashes cover it, and the audit log says which pseudonym "
    "it has. Settings, such as limits, webhooks and strategies, keep the ID of their editor. This database "
    "no longer connects it with a name. Earlier backups still do: delete them when their retention ends."
)


async def erase_person(command_context: CommandContext, options: Namespace) -> CommandResult:
    """Pseudonymize a user."""
    tenant_id = command_context.get_tenant(options.tenant).id
    user = find_user(command_context, tenant_id, options.user)
    erasure = Erasure(user, f"{ERASED_PREFIX}{secrets.token_hex(8)}")

    def erase(connection: Connection, request: ChangeRequest, now: datetime) -> ChangeResult:
        for name in erasure.names:
            delete_preferences(connection, tenant_id, name)
            ALERTS.delete(connection, tenant_id=tenant_id, owner=name)
        return erase_user(connection, request, erasure, now)

    await command_context.execute(tenant_id, erase)
    return CommandResult(f"The person is now {erasure.pseudonym}, and cannot act or log in. {_KEPT}")
