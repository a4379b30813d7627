"""Erase the data about a person from the database.

Rows that hashes cover keep the ID of the person, and so do columns that say who made a change, such as
`created_by`. The ID no longer leads to a name.
"""

from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection

from app.identity.queries import erasure as queries
from app.identity.queries import sessions as credentials
from app.identity.queries.users import UserRow, update_user
from app.identity.rules.people import ERASED_NAME
from app.identity.service.change_executor import ChangeRequest, ChangeResult
from app.identity.service.grants import require_admin

SESSIONS_END_REASON = "user disabled"


class Erasure(NamedTuple):
    """The user to erase, and the pseudonym that takes the place of the person."""

    user: UserRow
    pseudonym: str

    @property
    def names(self) -> list[str]:
        """The names under which the person acted: Slack identity and e-mail address."""
        return [name for name in (self.user.person, self.user.email) if name is not None]


def erase_user(
    connection: Connection, request: ChangeRequest, erasure: Erasure, now: datetime
) -> ChangeResult:
    """Replace a user's name, address and Slack identity, and delete the password. Raises LastAdmin.

    Stored responses of administrative requests that name the person are emptied. The audit log gets an entry
    with the pseudonym. It and the ledger keep the ID under which the person acted, because hashes cover it.
    """
    tenant_id, user = request.caller.tenant_id, erasure.user
    credentials.revoke_sessions_of_user(connection, tenant_id, user.id, SESSIONS_END_REASON, now)
    queries.delete_login(connection, tenant_id, user.id)
    values = {"person": erasure.pseudonym, "email": None, "name": ERASED_NAME, "status": "disabled"}
    update_user(connection, tenant_id, user.id, values, now)
    queries.clear_responses(connection, tenant_id, [*erasure.names, user.name])
    require_admin(connection, request.caller, now)
    entry = request.build_audit_entry(
        now, "user.erased", f"user:{user.audit_name}", None, {"person": erasure.pseudonym}
    )
    return ChangeResult({"person": erasure.pseudonym}, [entry])
