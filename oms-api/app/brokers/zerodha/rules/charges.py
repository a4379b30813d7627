"""The virtual contract note: what Kite charges for orders."""

from collections.abc import Iterable
from decimal import Decimal
from typing import Any

from app.brokers.rules.order_reports import MalformedResponse, parse_amount
from app.brokers.zerodha.rules.responses import Json

_FACTS = (
    "order_id", "exchange", "tradingsymbol", "transaction_type", "variety", "product", "order_type",
    "average_price",
)  # fmt: skip


def build_charges_request(orders: Iterable[Json]) -> list[dict[str, Any]]:
    """Return the body of POST /charges/orders for filled orders of the order book."""
    return [
        {**{name: _convert(order[name]) for name in _FACTS}, "quantity": _convert(order["filled_quantity"])}
        for order in orders
    ]


def parse_charges(notes: Iterable[Json]) -> list[Decimal]:
    """Return the total of each order, in the order of the request. Raises MalformedResponse."""
    try:
        return [parse_amount(note["charges"]["total"]) for note in notes]
    except (KeyError, ValueError, TypeError) as error:
        raise MalformedResponse(f"charges: {type(error).__name__}") from None


def _convert(value: Any) -> Any:
    """Return an exact number as the JSON number that Kite expects."""
    return float(value) if isinstance(value, Decimal) else value
