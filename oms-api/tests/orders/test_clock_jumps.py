"""Orders after the clock was ahead: they are found by their time and are not repeats."""

from datetime import timedelta
from decimal import Decimal

from app.orders.queries.order_views import OrderFilter, list_orders
from app.orders.rules.values import Status
from app.orders.service.commands import PlaceOrder
from app.risk.service.controls import Controls
from tests.orders.writer_harness import build_ticket


def test_orders_placed_after_the_clock_was_ahead_are_listed_by_time(harness):
    start = harness.now
    harness.now += timedelta(days=1)
    harness.place_order(type="LIMIT", limit_price="90")
    harness.now = start + timedelta(seconds=1)
    placed = harness.place_order(type="LIMIT", limit_price="91")
    with harness.engine.connect() as connection:
        order_filter = OrderFilter(since=start, until=start + timedelta(minutes=1))
        orders = list_orders(connection, harness.tenant, order_filter, 10, None)
    assert [order.order.id for order in orders] == [placed.id]
    assert placed.status is Status.ACCEPTED


def test_order_with_a_future_timestamp_is_not_a_duplicate(harness, monkeypatch):
    harness.open_portfolio()
    limits = Controls.get_limits

    def checking(controls, tenant_id, subject):
        return limits(controls, tenant_id, subject)._replace(repeat_order_seconds=Decimal(60))

    monkeypatch.setattr(Controls, "get_limits", checking)
    ticket = build_ticket(type="LIMIT", limit_price="90")
    origin = harness.build_origin()._replace(actor="someone")

    def place(at):
        return harness.run_order_command(
            PlaceOrder(origin._replace(at=at), ticket, "Growth", "growth")
        ).status

    assert place(harness.now + timedelta(days=1)) is Status.ACCEPTED
    assert place(harness.now) is Status.ACCEPTED
    assert place(harness.now + timedelta(seconds=1)) is Status.DENIED
