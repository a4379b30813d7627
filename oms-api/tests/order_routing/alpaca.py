"""The OMS at the stand-in of Alpaca: connect, run, and look at an order."""

import time
from collections.abc import Callable
from typing import Any

from app.orders.rules.values import Order, Status
from tests.order_routing.scripted_broker import RoutingHarness
from tests.orders.writer_harness import WriterHarness
from tests.support.conditions import WAIT_SECONDS


def connect_portfolio(engine: Any, create_broker: Callable[[], Any]) -> RoutingHarness:
    """Return a connected portfolio, with AAPL quoted 99 to 101."""
    harness = WriterHarness(engine)
    harness.publish_quote("99", "101", "100")
    routing = RoutingHarness(harness, create_broker())
    run_until(routing, lambda: routing.get_connection().status == "connected")
    return routing


def run_until(routing: RoutingHarness, condition: Callable[[], object]) -> None:
    """Let time pass until a condition is true."""
    deadline = time.monotonic() + WAIT_SECONDS
    while not condition():
        assert time.monotonic() < deadline, "the condition never became true"
        routing.run_session(1)
        time.sleep(0.01)


def find_status(routing: RoutingHarness, order: Order) -> Status:
    """Return the status of an order as it is now."""
    return routing.harness.get_order(order).status
