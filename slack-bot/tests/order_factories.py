"""Build orders and states of the order form."""

from decimal import Decimal
from typing import Any

from app.forms.orders.order import Order, OrderEvent

CHOICES = ("type", "side", "time_in_force", "portfolio")
SHOWN_ALWAYS = {"type": "MARKET", "symbol": "MSFT", "side": "BUY", "quantity": "50", "value": None}
MORE = {"time_in_force": "DAY", "stop_loss": None, "take_profit": None, "portfolio": "Growth", "reason": None}


def build_order_state(revision: str = "", **changes: str | None) -> dict[str, Any]:
    """Return a view's `state.values` of the order form in Slack's format."""
    entries = SHOWN_ALWAYS | MORE | changes
    return {f"{name}{revision}": {"order_entry": _element(name, value)} for name, value in entries.items()}


def _element(name: str, value: str | None) -> dict[str, Any]:
    if name == "expires_at":
        return {"type": "datetimepicker", "selected_date_time": value and int(value)}
    if name not in CHOICES:
        return {"type": "plain_text_input", "value": value}
    text = {"type": "plain_text", "text": value}
    return {"type": "static_select", "selected_option": value and {"text": text, "value": value}}


def build_order(**changes: Any) -> Order:
    values: dict[str, Any] = {
        "id": "O17636544000000000a1b2c3d4",
        "status": "ACCEPTED",
        "portfolio": "Growth",
        "symbol": "MSFT",
        "side": "BUY",
        "quantity": Decimal(50),
        "type": "LIMIT",
        "time_in_force": "GTC",
        "limit_price": Decimal(410),
        "actor": "slack:T1:U1",
        "created_at": "2026-11-29T10:00:00.000000Z",
        "leaves_quantity": Decimal(50),
    }
    return Order(**(values | changes))


def build_event(
    sequence: int, previous: str, current: str, actor: str = "paper", reason: str = ""
) -> OrderEvent:
    return OrderEvent(sequence, previous, current, actor, reason, "")
