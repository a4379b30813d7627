"""Compare an adapter's table with its venue: the venue gets only allowed orders, and accepts them."""

import itertools
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from app.brokers.protocol import Broker
from app.brokers.rules.values import Accepted, BrokerOrder, OrderType, Rejected, TimeInForce
from tests.brokers.market import parse_order_text
from tests.support.conditions import wait_until

_PRICES = {
    OrderType.MARKET: "",
    OrderType.LIMIT: "limit 95",
    OrderType.STOP: "stop 105",
    OrderType.STOP_LIMIT: "stop 105 limit 106",
    OrderType.TRAILING_STOP: "trail 1",
}


def build_orders(symbol: str, *, extended_hours: bool = False, **fields: Any) -> Iterator[BrokerOrder]:
    """Return purchases of every order type and time in force, in whole units and in fractions."""
    numbers = itertools.count(1)
    name = symbol.replace("/", "") + fields.get("product", "")
    for kind, time_in_force, quantity in itertools.product(OrderType, TimeInForce, ("10", "1.5")):
        ends = {TimeInForce.GTD: {"expires_at": datetime.now(UTC) + timedelta(days=1)}}.get(time_in_force, {})
        order_text = f"BUY {quantity} {kind} {_PRICES[kind]} {time_in_force}"
        terms = fields | ends | {"symbol": symbol, "extended_hours": extended_hours}
        yield parse_order_text(order_text, f"{name}-{extended_hours:d}-{next(numbers)}", **terms)


def check_capabilities(
    broker: Broker,
    orders: Sequence[BrokerOrder],
    find_refusal: Callable[[BrokerOrder], str | None],
    count_requests: Callable[[], int],
) -> None:
    """Submit orders. Orders that the table refuses must not be sent; the broker must accept the others."""
    allowed = {item.id for item in orders if find_refusal(item) is None}
    assert allowed
    assert len(allowed) < len(orders)
    for order in orders:
        before = count_requests()
        broker.submit(order, datetime.now(UTC))
        assert count_requests() - before == (order.id in allowed), order
    wait_until(lambda: allowed <= _list_ids(broker, Accepted, Rejected))
    assert _list_ids(broker, Rejected) == {item.id for item in orders} - allowed


def _list_ids(broker: Broker, *kinds: type) -> set[str]:
    return {record.event.order_id for record in broker.list_events() if isinstance(record.event, kinds)}
