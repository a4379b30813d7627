"""Portfolio restrictions of users and keys, and the rule that each tenant keeps an administrator."""

from collections.abc import Collection, Sequence
from datetime import datetime

from sqlalchemy import Connection

from app.errors import FieldError, Invalid
from app.identity.errors import LastAdmin
from app.identity.queries import grants as queries
from app.identity.queries.grants import GrantColumn
from app.identity.queries.keys import has_admin_key
from app.identity.queries.users import has_admin_user
from app.identity.rules.access import FIRST_TENANT, Caller, Scope
from app.identity.rules.administration import require_portfolios
from app.text import name_key


def replace_portfolios(
    connection: Connection,
    caller: Caller,
    grant_column: GrantColumn,
    grantee_id: int | str,
    names: Sequence[str] | None,
) -> list[str] | None:
    """Restrict a user or key of the caller's tenant to portfolios (None for all). Return their names.

    Raises Invalid for an unknown portfolio, and RightsExceeded for a portfolio that the caller may not see.
    """
    name_keys = None if names is None else [name_key(name) for name in names]
    require_portfolios(caller, name_keys)
    if name_keys is None:
        queries.replace_grants(connection, caller.tenant_id, grant_column, grantee_id, ())
        return None
    portfolio_names = queries.load_portfolio_names(connection, caller.tenant_id, name_keys)
    errors = [
        FieldError(
            f"portfolios.{index}",
            "Portfolio not found. Check its name, or create it first.",
            "no_such_portfolio",
        )
        for index, key in enumerate(name_keys)
        if key not in portfolio_names
    ]
    if errors:
        raise Invalid("A portfolio does not exist; create it first.", errors)
    queries.replace_grants(connection, caller.tenant_id, grant_column, grantee_id, portfolio_names)
    return [portfolio_names[key] for key in sorted(portfolio_names)]


def list_granted_portfolios(
    connection: Connection, tenant_id: int, grant_column: GrantColumn, restricted_ids: Collection[int | str]
) -> dict[int | str, list[str]]:
    """Return the portfolio names of each of these restricted users or keys."""
    granted_names = (
        queries.load_granted_names(connection, tenant_id, grant_column, restricted_ids)
        if restricted_ids
        else {}
    )
    return {grantee_id: granted_names.get(grantee_id, []) for grantee_id in restricted_ids}


def require_admin(connection: Connection, caller: Caller, now: datetime) -> None:
    """Raise LastAdmin if the caller's tenant has no administrator left.

    The rule does not apply to the first tenant, which the operator's key administers, nor to commands of the
    operator.
    """
    tenant_id = caller.tenant_id
    if tenant_id == FIRST_TENANT or Scope.TENANTS in caller.scopes:
        return
    if not has_admin_user(connection, tenant_id) and not has_admin_key(connection, tenant_id, now):
        raise LastAdmin
