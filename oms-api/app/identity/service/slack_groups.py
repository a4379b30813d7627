"""Give people the roles of their user groups in Slack."""

import json
from collections.abc import Collection, Mapping
from datetime import datetime

from sqlalchemy import Connection

from app.audit.service import AuditEntry
from app.identity.errors import WorkspaceNotBound
from app.identity.queries import people, users
from app.identity.queries.credentials import find_tenant_of_workspace
from app.identity.queries.tenants import get_tenant
from app.identity.rules.access import Role
from app.identity.rules.people import SlackPerson
from app.identity.rules.slack_groups import choose_role
from app.identity.service.change_executor import ChangeRequest, ChangeResult


def apply_groups(
    connection: Connection,
    request: ChangeRequest,
    team_id: str,
    members: Mapping[str, Collection[str]],
    now: datetime,
) -> ChangeResult:
    """Give the people of a workspace the roles of their groups. `members` has all groups that have a role.

    People who are not users yet are created. Raises WorkspaceNotBound.
    """
    tenant_id = request.caller.tenant_id
    if find_tenant_of_workspace(connection, team_id) != tenant_id:
        raise WorkspaceNotBound
    tenant = get_tenant(connection, tenant_id)
    roles: dict[str, str] = json.loads(tenant.slack_group_roles)
    groups = _list_groups_of_people(team_id, members)
    entries: list[AuditEntry] = []
    stored_users = users.list_people_of_workspace(connection, tenant_id, team_id)
    for user in stored_users:
        person = user.person or ""
        role = choose_role(Role(user.role), groups.get(person, ()), roles, tenant.slack_default_role)
        if role is not None:
            users.update_user(connection, tenant_id, user.id, {"role": role.value}, now)
            before, after = {"role": user.role}, {"role": role.value}
            entries.append(
                request.build_audit_entry(now, "user.changed", f"user:{user.audit_name}", before, after)
            )
    changed = len(entries)
    for person in sorted(groups.keys() - {user.person for user in stored_users}):
        role = choose_role(None, groups[person], roles, tenant.slack_default_role)
        if role is not None:
            people.add_person(connection, tenant_id, person, role.value, now)
            after = {"person": person, "role": role.value}
            entries.append(request.build_audit_entry(now, "user.first_seen", person, None, after))
    return ChangeResult({"created": len(entries) - changed, "changed": changed}, entries)


def _list_groups_of_people(team_id: str, members: Mapping[str, Collection[str]]) -> dict[str, set[str]]:
    groups: dict[str, set[str]] = {}
    for group, user_ids in members.items():
        for user_id in user_ids:
            groups.setdefault(SlackPerson(team_id, user_id).text, set()).add(group)
    return groups
