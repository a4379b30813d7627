"""The order state changes of FIX 5.0 SP2, appendix D, as a table.

Each scenario says what is asked and what the broker says, and what our order says after each step, in FIX's
words (OrdStatus, CumQty, LeavesQty).

Left out, with the reason:

- D.1.c, D.2.b-d of a market that answers later: paper answers within the request, so requests that the broker
  refuses are played by its late word (`CancelRejected`) on an order that was put to pending by hand.
- Those that move a filled order on (a replacement after the last fill, D.2.e/f): an order that is filled is
  final here; a late fill of a replaced one goes to its successor instead.
- Trade bust and correction (D.5): see `test_busts` and `test_corrections`.
- Stopped, suspended, calculated, done for day (D.6, D.7): no broker here says so.
- Order status requests, lists and unsolicited cancels without an order: `GET /orders` answers any time.
"""

from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import text

from app.brokers.rules.values import Canceled, CancelRejected, Executed, Rejected
from app.orders.rules.values import Status

pytestmark = pytest.mark.any_database

FIX_STATUS = {
    Status.ACCEPTED: "New",
    Status.TRIGGERED: "New",
    Status.PARTIALLY_FILLED: "PartiallyFilled",
    Status.FILLED: "Filled",
    Status.CANCELED: "Canceled",
    Status.EXPIRED: "Expired",
    Status.REJECTED: "Rejected",
    Status.REPLACED: "Replaced",
    Status.PENDING_CANCEL: "PendingCancel",
    Status.PENDING_REPLACE: "PendingReplace",
}
# Steps: ("fill", quantity), "cancel", ("replace", quantity), "expire", "reject", "late cancel", "refuse",
# "pending cancel", "pending replace". Each is followed by what the last order of the chain says.
SCENARIOS: dict[str, list[tuple[Any, tuple[str, int, int]]]] = {
    "D.1.a a filled order": [
        (("fill", 2000), ("PartiallyFilled", 2000, 8000)),
        (("fill", 1000), ("PartiallyFilled", 3000, 7000)),
        (("fill", 7000), ("Filled", 10000, 0)),
    ],
    "D.1.b a part-filled day order, done at the day's end": [
        (("fill", 2000), ("PartiallyFilled", 2000, 8000)),
        ("expire", ("Expired", 2000, 0)),
    ],
    "D.2.a a cancel of an order that nothing filled": [("cancel", ("Canceled", 0, 0))],
    "D.2.b a cancel of a part-filled order, with a part while it is pending": [
        (("fill", 2000), ("PartiallyFilled", 2000, 8000)),
        ("pending cancel", ("PendingCancel", 2000, 8000)),
        (("fill", 5000), ("PendingCancel", 7000, 3000)),
        ("late cancel", ("Canceled", 7000, 0)),
    ],
    "D.2.c a cancel that comes after the order has filled": [
        (("fill", 2000), ("PartiallyFilled", 2000, 8000)),
        ("pending cancel", ("PendingCancel", 2000, 8000)),
        (("fill", 8000), ("Filled", 10000, 0)),
        ("refuse", ("Filled", 10000, 0)),
    ],
    "D.2.d a cancel that is refused": [
        ("pending cancel", ("PendingCancel", 0, 10000)),
        ("refuse", ("New", 0, 10000)),
        (("fill", 1000), ("PartiallyFilled", 1000, 9000)),
        ("pending cancel", ("PendingCancel", 1000, 9000)),
        ("refuse", ("PartiallyFilled", 1000, 9000)),
    ],
    "D.3.a a replacement to a larger quantity": [
        (("replace", 11000), ("New", 0, 11000)),
        (("fill", 1000), ("PartiallyFilled", 1000, 10000)),
        (("replace", 12000), ("PartiallyFilled", 1000, 11000)),
        (("fill", 11000), ("Filled", 12000, 0)),
    ],
    "D.3.b a part while the replacement is pending, which is refused": [
        ("pending replace", ("PendingReplace", 0, 10000)),
        (("fill", 1000), ("PendingReplace", 1000, 9000)),
        ("refuse", ("PartiallyFilled", 1000, 9000)),
    ],
    "D.3.c filled while the replacement is pending": [
        ("pending replace", ("PendingReplace", 0, 10000)),
        (("fill", 10000), ("Filled", 10000, 0)),
        ("refuse", ("Filled", 10000, 0)),
    ],
    "D.3.d a replacement to a smaller quantity, above what filled": [
        (("fill", 1000), ("PartiallyFilled", 1000, 9000)),
        (("replace", 8000), ("PartiallyFilled", 1000, 7000)),
    ],
    "D.3.e a replacement to just what filled": [
        (("fill", 1000), ("PartiallyFilled", 1000, 9000)),
        (("replace", 1000), ("Filled", 1000, 0)),
    ],
    "D.3.f a replacement to less than what filled": [
        (("fill", 7000), ("PartiallyFilled", 7000, 3000)),
        (("replace", 6000), ("Filled", 7000, 0)),
    ],
    "D.3.g one replacement after another": [
        (("replace", 8000), ("New", 0, 8000)),
        (("replace", 6000), ("New", 0, 6000)),
        (("fill", 1000), ("PartiallyFilled", 1000, 5000)),
        ("cancel", ("Canceled", 1000, 0)),
    ],
    "D.4.a rejected at once": [("reject", ("Rejected", 0, 0))],
    "D.8 an order until canceled outlives the day": [
        (("fill", 1000), ("PartiallyFilled", 1000, 9000)),
        ("next day", ("PartiallyFilled", 1000, 9000)),
        (("fill", 9000), ("Filled", 10000, 0)),
    ],
}


class Play:
    """One order and its successors."""

    def __init__(self, harness, *, is_day):
        self.harness, self.fills = harness, 0
        tif = "DAY" if is_day else "GTC"
        self.order = harness.place_order(type="LIMIT", limit_price="50", quantity="10000", time_in_force=tif)

    def do(self, step):
        name, quantity = step if isinstance(step, tuple) else (step, None)
        getattr(self, name.replace(" ", "_"))(*([] if quantity is None else [quantity]))
        self.order = self.harness.get_order(self.order)

    def fill(self, quantity):
        self.fills += 1
        size = Decimal(quantity)
        report = Executed(self.order.id, f"X{self.fills}", size, Decimal(50), size * 50, self.harness.now)
        self.harness.report_broker_event(self.order, report)

    def cancel(self):
        self.harness.cancel(self.order)

    def replace(self, quantity):
        self.order = self.harness.replace(self.order, quantity=str(quantity)).orders[0].order

    def expire(self):
        self.harness.advance_clock(days=1)
        self.harness.expire_orders()

    next_day = expire

    def reject(self):
        self.harness.report_broker_event(
            self.order, Rejected(self.order.id, "Unknown symbol", self.harness.now)
        )

    def late_cancel(self):
        self.harness.report_broker_event(self.order, Canceled(self.order.id, self.harness.now))

    def refuse(self):
        self.harness.report_broker_event(
            self.order, CancelRejected(self.order.id, "Too late", self.harness.now)
        )

    def pending_cancel(self):
        self._put(Status.PENDING_CANCEL)

    def pending_replace(self):
        self._put(Status.PENDING_REPLACE)

    def _put(self, status):
        """As a broker that answers later would leave it."""
        with self.harness.engine.begin() as connection:
            parameters = {"status": status.value, "id": self.order.id}
            connection.execute(text("UPDATE orders SET status = :status WHERE id = :id"), parameters)
        self.harness.restart()


@pytest.mark.parametrize("name", SCENARIOS)
def test_order_state_changes_follow_the_fix_scenario(harness, name):
    play = Play(harness, is_day=any(step == "expire" for step, _ in SCENARIOS[name]))
    for step, expected in SCENARIOS[name]:
        play.do(step)
        order = play.order
        actual = (FIX_STATUS[order.status], order.filled_quantity, order.leaves_quantity)
        assert actual == expected, (step, actual)
