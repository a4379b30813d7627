"""The payload of the event `alert.fired`."""

from typing import Any

from app.alerts.rules.conditions import Alert, Direction
from app.money import format_money, format_optional_money
from app.timestamps import format_optional_timestamp


def serialize_threshold(alert: Alert) -> dict[str, str | None]:
    """Return the fields `above` and `below`, one of which is None."""
    threshold = format_money(alert.threshold)
    is_above = alert.direction is Direction.ABOVE
    return {"above": threshold if is_above else None, "below": None if is_above else threshold}


def build_firing_payload(alert: Alert, portfolio_name: str | None) -> dict[str, Any]:
    """Return the payload of an alert that has just fired. `firing` counts its firings from 1."""
    return {
        "alert_id": alert.id,
        "firing": alert.firing,
        "value": format_optional_money(alert.value),
        "at": format_optional_timestamp(alert.fired_at),
        "kind": alert.kind,
        "symbol": alert.symbol,
        "portfolio_name": portfolio_name,
        **serialize_threshold(alert),
        "repeat": alert.is_repeating,
        "owner": alert.owner,
        "deliver_to": alert.deliver_to,
    }
