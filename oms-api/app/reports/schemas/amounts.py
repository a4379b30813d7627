"""Amounts in response bodies of reports."""

from collections.abc import Iterable

from app.money import fixed, money_text


def money_fields(found: object, names: Iterable[str]) -> dict[str, str]:
    """Return the amounts of those names, shortened for display."""
    return {name: money_text(fixed(getattr(found, name))) for name in names}
