"""Parts of signals in responses."""

from typing import Any

from app.money import format_plain_amount
from app.signals.rules.values import SignalSize


def serialize_size(size: SignalSize) -> dict[str, Any]:
    """Return a size as it is sent: `{"qty": "10"}` or `{"close": true}`."""
    return {size.kind.value: True if size.value is None else format_plain_amount(size.value)}
