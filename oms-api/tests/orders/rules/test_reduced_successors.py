"""A replacement is smaller by the fills of its group since it was requested."""

from decimal import Decimal

import pytest

from app.orders.rules.contingency import reduce_successor
from app.orders.rules.order_factory import OrderLinks, Placement, build_order_from_ticket
from app.orders.rules.rows import OrderEvent
from app.orders.rules.values import Role
from app.timestamps import Timestamp
from tests.orders.writer_harness import build_ticket

AT = Timestamp("2026-11-20T12:00:00.000000Z")
REQUESTED = ("ACCEPTED", "PENDING_REPLACE", "trader")
REDUCED = ("PENDING_REPLACE", "PENDING_REPLACE", "group")
REFUSED = ("PENDING_REPLACE", "ACCEPTED", "alpaca")
CANCELLED = ("PENDING_REPLACE", "PENDING_CANCEL", "trader")


def build_order(quantity, role=Role.STOP_LOSS):
    order = build_order_from_ticket(
        "O1", Placement(1, 7, "key", None, AT), build_ticket(), Decimal(quantity), OrderLinks()
    )
    return order._replace(role=role)


def list_changes(*changes):
    return [
        OrderEvent(1, "O1", number, previous, current, AT, actor)
        for number, (previous, current, actor) in enumerate(changes)
    ]


@pytest.mark.parametrize(
    ("quantity", "changes", "expected"),
    [
        (10, [REQUESTED], 10),
        (6, [REQUESTED, REDUCED], 6),
        (6, [REQUESTED, REDUCED, CANCELLED], 6),  # a cancel crossed the replacement
        (6, [REQUESTED, (*REDUCED[:2], "alpaca")], 10),  # a part of its own filled
        (6, [REQUESTED, REDUCED, REFUSED, REQUESTED], 10),  # reduced before this request
        (12, [REQUESTED, REDUCED], 10),  # the request makes it smaller than that
    ],
)
def test_successor_of_ten_has_the_quantity(quantity, changes, expected):
    order, successor = build_order(quantity), build_order(10)
    assert reduce_successor(order, successor, list_changes(*changes), "group").quantity == expected


def test_order_without_a_pair_keeps_the_quantity_of_its_successor():
    order, successor = build_order(6, role=None), build_order(10, role=None)
    assert reduce_successor(order, successor, list_changes(REQUESTED, REDUCED), "group") == successor
