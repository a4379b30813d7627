"""Which portfolios somebody may see, and that a tenant is never left without an admin."""

from collections.abc import Collection, Sequence
from datetime import datetime

from sqlalchemy import Connection

from app.errors import FieldError, Invalid
from app.identity.errors import LastAdmin
from app.identity.queries import grants as queries
from app.identity.queries.grants import Holder
from app.identity.queries.keys import has_admin_key
from app.identity.queries.users import has_admin_user
from app.identity.rules.access import FIRST_TENANT, Caller, Scope
from app.identity.rules.administration import require_portfolios
from app.text import name_key


def narrow(
    connection: Connection, caller: Caller, holder: Holder, owner: int | str, names: Sequence[str] | None
) -> list[str] | None:
    """Narrow a user or key of the caller's tenant to portfolios, None for all; return their names.

    Raises Invalid for a portfolio that does not exist, and TooBroad for more than the caller's own.
    """
    name_keys = None if names is None else [name_key(name) for name in names]
    require_portfolios(caller, name_keys)
    if name_keys is None:
        queries.replace_grants(connection, caller.tenant_id, holder, owner, ())
        return None
    known = queries.portfolio_names(connection, caller.tenant_id, name_keys)
    errors = [
        FieldError(f"portfolios.{index}", "There is no such portfolio.", "no_such_portfolio")
        for index, key in enumerate(name_keys)
        if key not in known
    ]
    if errors:
        raise Invalid("A portfolio does not exist; make it first.", errors)
    queries.replace_grants(connection, caller.tenant_id, holder, owner, known)
    return [known[key] for key in sorted(known)]


def granted(
    connection: Connection, tenant_id: int, holder: Holder, narrowed: Collection[int | str]
) -> dict[int | str, list[str]]:
    """Return the names of the portfolios of each of these narrowed users, or keys."""
    found = queries.granted_names(connection, tenant_id, holder, narrowed) if narrowed else {}
    return {owner: found.get(owner, []) for owner in narrowed}


def require_an_admin(connection: Connection, caller: Caller, now: datetime) -> None:
    """Raise LastAdmin where the caller's tenant, as it stands now, has nobody left to administer it.

    Not of the first tenant, which the installation's own key administers, nor against an operator's commands.
    """
    tenant_id = caller.tenant_id
    if tenant_id == FIRST_TENANT or Scope.TENANTS in caller.scopes:
        return
    if not has_admin_user(connection, tenant_id) and not has_admin_key(connection, tenant_id, now):
        raise LastAdmin
