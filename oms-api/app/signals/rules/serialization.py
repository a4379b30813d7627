"""Parts of signals as they are shown."""

from typing import Any

from app.money import format_fixed, shorten_quantity
from app.signals.rules.values import Size


def serialize_size(size: Size) -> dict[str, Any]:
    """Return a size as it is sent: `{"qty": "10"}` or `{"close": true}`."""
    return {size.kind.value: True if size.value is None else shorten_quantity(format_fixed(size.value))}
