"""People from Slack: known from before, or made known on first sight as their tenant says."""

from datetime import datetime

from sqlalchemy import Connection

from app.audit.service import AuditEntry, record
from app.database import declare_tenants
from app.identity.errors import PersonRefused, TenantSuspended, WorkspaceElsewhere
from app.identity.queries import credentials
from app.identity.queries import people as queries
from app.identity.queries.tenants import lock_tenant
from app.identity.rules.access import Caller, Person
from app.identity.rules.people import SlackPerson
from app.identity.service.authenticator import Where


def known_person(connection: Connection, tenant_id: int, named: SlackPerson) -> Person | None:
    """Return the person if the tenant knows them and their workspace. Raises WorkspaceElsewhere."""
    home = credentials.tenant_of_workspace(connection, named.team_id)
    if home is None:
        return None
    if home != tenant_id:
        raise WorkspaceElsewhere
    declare_tenants(connection, [tenant_id])
    return queries.find_person(connection, tenant_id, named.text)


def welcome(
    connection: Connection, caller: Caller, named: SlackPerson, where: Where, now: datetime
) -> Person:
    """Make a person known, and their workspace the tenant's, in one transaction with its audit.

    Raises PersonRefused, WorkspaceElsewhere or TenantSuspended.
    """
    tenant_id = caller.tenant_id
    declare_tenants(connection, [tenant_id])
    lock_tenant(connection, tenant_id)
    known = known_person(connection, tenant_id, named)  # by one of the same person's other requests
    if known is not None:
        return known
    newcomers = queries.newcomers_of(connection, tenant_id)
    if not newcomers.active:
        raise TenantSuspended
    person = queries.find_person(connection, tenant_id, named.text)  # an admin may have made them before
    if person is None and newcomers.role is None:
        raise PersonRefused
    queries.bind_workspace(connection, tenant_id, named.team_id, now)
    if credentials.tenant_of_workspace(connection, named.team_id) != tenant_id:
        raise WorkspaceElsewhere
    if person is None:
        queries.add_person(connection, tenant_id, named.text, newcomers.role or "", now)
        person = queries.find_person(connection, tenant_id, named.text)
    assert person is not None, "inserted above"  # noqa: S101  # for the type checker
    after = {"person": named.text, "role": person.role.value}
    who = (tenant_id, now, named.text, caller.name)
    record(connection, [AuditEntry(*who, "user.first_seen", named.text, *where, after=after)])
    return person
