"""Find the portfolio that a field of a request names."""

from sqlalchemy import Connection

from app.errors import FieldError, Invalid
from app.identity.rules.access import Caller
from app.ledger.queries.reading import PortfolioSummary, find_books
from app.text import name_key


def require_portfolio(connection: Connection, caller: Caller, name: str, field: str) -> PortfolioSummary:
    """Return the portfolio. Raises Invalid for the field if the caller sees no such portfolio."""
    key = name_key(name)
    books = find_books(connection, caller.tenant_id, [key])
    if key not in books or not caller.sees(key):
        error = FieldError(field, "There is no such portfolio.", "unknown")
        raise Invalid("1 field is not valid; see `errors`.", [error])
    return books[key][0]
