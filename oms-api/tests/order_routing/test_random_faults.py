"""Many orders while calls fail, answers are lost and the process is killed, all at random."""

import random
from decimal import Decimal

import pytest

from app.orders.rules.values import FINAL_STATUSES, Order, Status
from tests.order_routing.scripted_broker import DOWN, KILLED_AFTER, KILLED_BEFORE, LOST, UNANSWERED

pytestmark = pytest.mark.any_database

SEED = 20261129
ORDERS = 60
FAULTS = (DOWN, LOST, UNANSWERED, KILLED_BEFORE, KILLED_AFTER)
CALLS = ("submit", "cancel", "replace", "find", "events", "account")


def add_random_faults(routing, draw):
    """Let some of the next calls fail, and some commits be the last act of a process."""
    for call in CALLS:
        if draw.random() < 0.2:
            routing.broker.faults[call].append(draw.choice(FAULTS[:2] if call in CALLS[3:] else FAULTS))
    if draw.random() < 0.2:
        routing.kills.append(draw.choice(("before", "after")))
    if draw.random() < 0.1:
        routing.restart()


def act_at_random(routing, draw, orders):
    """Place, cancel or replace an order, or let the broker fill one."""
    orders.append(routing.place_order(quantity="10"))
    order = routing.harness.get_order(draw.choice(orders))
    if order.status is Status.REPLACED:
        orders.append(routing.harness.get_order(order._replace(id=order.replaced_by)))
    choice = draw.random()
    if choice < 0.25:
        routing.harness.cancel(order)
    elif choice < 0.4:
        routing.harness.replace(order, quantity="20")
    working = list(routing.broker.list_open_orders())
    if working and draw.random() < 0.7:
        routing.broker.fill(draw.choice(working), draw.choice(("1", "10")))


@pytest.mark.parametrize("has_queue", [False, True])
def test_books_agree_with_the_broker_after_random_faults(routing, has_queue):
    routing.has_queue = has_queue
    routing.restart()
    draw = random.Random(SEED)
    orders: list[Order] = []
    print(f"seed {SEED}")
    for _ in range(ORDERS):
        add_random_faults(routing, draw)
        act_at_random(routing, draw, orders)
        routing.run_session(1)
    routing.broker.faults.clear()
    routing.kills.clear()
    routing.run_session(90)  # beyond the limits of what is unknown
    assert routing.list_open_requests() == []
    submitted = [order_id for call, order_id in routing.broker.received if call == "submit"]
    assert len(submitted) == len(set(submitted))
    fills = routing.broker.list_executions()
    booked = {execution_id: Decimal(str(quantity)) for execution_id, quantity in routing.list_executions()}
    assert booked == {fill.execution_id: fill.quantity for fill in fills}
    own_executions = {
        order_id
        for order_id, status in routing.harness.query("SELECT id, status FROM orders")
        if Status(status) not in FINAL_STATUSES
    }
    assert own_executions == {order.id for order in routing.broker.list_open_orders()}
    [(own_quantity,)] = routing.harness.query("SELECT quantity FROM positions")
    assert Decimal(str(own_quantity)) == sum(fill.quantity for fill in fills)
