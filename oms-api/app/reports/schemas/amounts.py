"""Amounts in response bodies of reports."""

from collections.abc import Iterable

from app.money import format_money


def format_money_fields(source: object, names: Iterable[str]) -> dict[str, str]:
    """Return the amounts of those names, shortened for display."""
    return {name: format_money(getattr(source, name)) for name in names}
