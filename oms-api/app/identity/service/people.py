"""Find Slack users of a tenant, and create new ones if the tenant allows it."""

from datetime import datetime

from sqlalchemy import Connection

from app.audit.service import AuditEntry, record_entries
from app.database import set_tenant_scope
from app.identity.errors import PersonRejected, TenantSuspended, WorkspaceNotBound
from app.identity.queries import credentials
from app.identity.queries import people as queries
from app.identity.queries.tenants import lock_tenant
from app.identity.queries.workspaces import claim_workspace
from app.identity.rules.access import Caller, Person, Scope
from app.identity.rules.people import SlackPerson
from app.identity.service.authenticator import RequestClient


def find_known_person(connection: Connection, tenant_id: int, slack_person: SlackPerson) -> Person | None:
    """Return the person if the tenant has the user and the workspace. Raises WorkspaceNotBound."""
    owner_tenant_id = credentials.find_tenant_of_workspace(connection, slack_person.team_id)
    if owner_tenant_id is None:
        return None
    if owner_tenant_id != tenant_id:
        raise WorkspaceNotBound
    set_tenant_scope(connection, [tenant_id])
    return queries.find_person(connection, tenant_id, slack_person.text)


def create_slack_user(
    connection: Connection, caller: Caller, slack_person: SlackPerson, client: RequestClient, now: datetime
) -> Person:
    """Create a user for a Slack person, in one transaction with its audit entry.

    The operator's key also binds an unbound workspace to its tenant. For any other key an unbound workspace
    is handled like one of another tenant: only the operator binds it, by `POST /tenants/{slug}/workspaces`.
    Raises PersonRejected, WorkspaceNotBound or TenantSuspended.
    """
    tenant_id = caller.tenant_id
    set_tenant_scope(connection, [tenant_id])
    lock_tenant(connection, tenant_id)
    known_person = find_known_person(
        connection, tenant_id, slack_person
    )  # created by a concurrent request of the same person
    if known_person is not None:
        return known_person
    new_user_policy = queries.get_new_user_policy(connection, tenant_id)
    if not new_user_policy.active:
        raise TenantSuspended
    # an admin may have created the user before
    person = queries.find_person(connection, tenant_id, slack_person.text)
    if person is None and new_user_policy.role is None:
        raise PersonRejected
    if Scope.TENANTS in caller.scopes and claim_workspace(connection, tenant_id, slack_person.team_id, now):
        target, after = f"workspace:{slack_person.team_id}", {"team_id": slack_person.team_id}
        entry = AuditEntry(
            tenant_id, now, slack_person.text, caller.name, "workspace.bound", target, *client, after=after
        )
        record_entries(connection, [entry])
    if credentials.find_tenant_of_workspace(connection, slack_person.team_id) != tenant_id:
        raise WorkspaceNotBound
    if person is None:
        queries.add_person(connection, tenant_id, slack_person.text, new_user_policy.role or "", now)
        person = queries.find_person(connection, tenant_id, slack_person.text)
    assert person is not None, "inserted above"  # noqa: S101  # for the type checker
    after = {"person": slack_person.text, "role": person.role.value}
    name = slack_person.text
    entry = AuditEntry(tenant_id, now, name, caller.name, "user.first_seen", name, *client, after=after)
    record_entries(connection, [entry])
    return person
