"""Format amounts in the messages of denials."""

from decimal import Decimal


def format_amount(amount: Decimal) -> str:
    """Return the amount with thousands separators and without trailing zeros."""
    return f"{amount.normalize():,f}"
