"""The OMS at the stand-in of Alpaca: connect, run, and look at an order."""

import time
from collections.abc import Callable
from typing import Any

from app.orders.rules.values import Order, Status
from tests.brokers.alpaca.conftest import WAIT_SECONDS
from tests.order_routing.scripted_broker import Routing
from tests.orders.rig import Rig


def connect(engine: Any, create_broker: Callable[[], Any]) -> Routing:
    """Return a connected portfolio, with AAPL quoted 99 to 101."""
    rig = Rig(engine)
    rig.quote("99", "101", "100")
    routing = Routing(rig, create_broker())
    run_until(routing, lambda: routing.stored().status == "connected")
    return routing


def run_until(routing: Routing, condition: Callable[[], object]) -> None:
    """Let time pass until a condition is true."""
    deadline = time.monotonic() + WAIT_SECONDS
    while not condition():
        assert time.monotonic() < deadline, "the condition never became true"
        routing.run(1)
        time.sleep(0.01)


def find_status(routing: Routing, order: Order) -> Status:
    """Return the status of an order as it is now."""
    return routing.rig.order(order).status
