"""Queries of the portfolios that restricted users and keys may see."""

from collections.abc import Collection, Iterable
from typing import Literal

from sqlalchemy import Connection, column, delete, insert, select, table

from app.identity.models import PortfolioGrant

GrantColumn = Literal["user_id", "key_id"]

# The ledger's table. Grants use only these columns.
_PORTFOLIOS = table("portfolios", column("tenant_id"), column("name_key"), column("name"))


def load_portfolio_names(
    connection: Connection, tenant_id: int, name_keys: Collection[str]
) -> dict[str, str]:
    """Return the names of the portfolios that exist, by name key."""
    statement = select(_PORTFOLIOS.c.name_key, _PORTFOLIOS.c.name)
    condition = (_PORTFOLIOS.c.tenant_id == tenant_id, _PORTFOLIOS.c.name_key.in_(sorted(name_keys)))
    return {row.name_key: row.name for row in connection.execute(statement.where(*condition))}


def load_granted_names(
    connection: Connection, tenant_id: int, grant_column: GrantColumn, ids: Collection[int | str]
) -> dict[int | str, list[str]]:
    """Return the names of the granted portfolios in alphabetical order, by holder."""
    grantee_column = getattr(PortfolioGrant, grant_column)
    statement = (
        select(grantee_column, _PORTFOLIOS.c.name)
        .join(
            _PORTFOLIOS,
            (_PORTFOLIOS.c.tenant_id == PortfolioGrant.tenant_id)
            & (_PORTFOLIOS.c.name_key == PortfolioGrant.portfolio_key),
        )
        .where(PortfolioGrant.tenant_id == tenant_id, grantee_column.in_(list(ids)))
        .order_by(PortfolioGrant.portfolio_key)
    )
    granted_names: dict[int | str, list[str]] = {}
    for grantee_id, name in connection.execute(statement):
        granted_names.setdefault(grantee_id, []).append(name)
    return granted_names


def replace_grants(
    connection: Connection,
    tenant_id: int,
    grant_column: GrantColumn,
    grantee_id: int | str,
    name_keys: Iterable[str],
) -> None:
    """Replace the portfolios of a user or key."""
    grantee_column = getattr(PortfolioGrant, grant_column)
    connection.execute(
        delete(PortfolioGrant).where(PortfolioGrant.tenant_id == tenant_id, grantee_column == grantee_id)
    )
    rows = [
        {"tenant_id": tenant_id, grant_column: grantee_id, "portfolio_key": key} for key in sorted(name_keys)
    ]
    if rows:
        connection.execute(insert(PortfolioGrant), rows)
