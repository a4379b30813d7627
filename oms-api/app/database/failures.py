"""Error messages of the database, for operators."""

from sqlalchemy.exc import SQLAlchemyError


def format_reason(error: SQLAlchemyError) -> str:
    """Return the driver's message on one line, without the address and the statement."""
    message = str(getattr(error, "orig", None) or type(error).__name__)
    return " ".join(message.split())
