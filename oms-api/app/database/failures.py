"""What a database's refusal says to an operator."""

from sqlalchemy.exc import SQLAlchemyError


def reason(error: SQLAlchemyError) -> str:
    """Return the driver's own words, on one line; no address, no statement."""
    words = str(getattr(error, "orig", None) or type(error).__name__)
    return " ".join(words.split())
