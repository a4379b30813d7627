"""Audit entries, as they are read to compare other tables with them."""

from typing import Any, NamedTuple

from app.timestamps import Timestamp


class AuditedAction(NamedTuple):
    """An entry with its values: `before` and `after` as parsed JSON."""

    tenant_id: int
    sequence: int
    at: Timestamp
    actor: str
    via: str
    action: str
    target: str
    before: Any
    after: Any


class ActionDifference(NamedTuple):
    """A column of another table that differs from the audit log."""

    location: str
    field: str
    stored: str | int | None
    expected: str | int | None


def find_differences(
    location: str, stored: dict[str, Any], expected: dict[str, Any]
) -> list[ActionDifference]:
    """Return the fields of `expected` that are stored differently."""
    return [
        ActionDifference(location, name, _format_value(stored.get(name)), _format_value(value))
        for name, value in expected.items()
        if stored.get(name) != value
    ]


def _format_value(value: Any) -> str | int | None:
    return value if value is None or isinstance(value, str | int) else str(value)
