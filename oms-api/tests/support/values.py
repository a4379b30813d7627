"""Helpers of assertions."""

from typing import Any


def require_value(value: Any) -> Any:
    """Return a value that must not be None."""
    assert value is not None
    return value
