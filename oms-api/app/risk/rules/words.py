"""Amounts in the sentences of denials."""

from decimal import Decimal


def format_amount(amount: Decimal) -> str:
    """Return the amount for a reader: thousands parted, without trailing zeros."""
    return f"{amount.normalize():,f}"
