"""Find the portfolio that a field of a request names."""

from sqlalchemy import Connection

from app.errors import FieldError, Invalid
from app.identity.rules.access import Caller
from app.ledger.queries.portfolios import PortfolioSummary, load_portfolios_by_name
from app.text import name_key


def require_portfolio(connection: Connection, caller: Caller, name: str, field: str) -> PortfolioSummary:
    """Return the portfolio. Raises Invalid for the field if the caller sees no such portfolio."""
    key = name_key(name)
    summaries = load_portfolios_by_name(connection, caller.tenant_id, [key])
    if key not in summaries or not caller.can_see(key):
        error = FieldError(field, "Portfolio not found. Check the name, or your access to it.", "unknown")
        raise Invalid("1 field is not valid; see `errors`.", [error])
    return summaries[key][0]
