"""Orders after the clock was ahead: they are found by their time and are not repeats."""

from datetime import timedelta
from decimal import Decimal

from app.orders.queries.reading import OrderFilter, list_orders
from app.orders.rules.values import Status
from app.orders.service.commands import PlaceOrder
from app.risk.service.controls import Controls
from tests.orders.rig import ticket


def test_orders_placed_after_the_clock_was_ahead_are_listed_by_time(rig):
    start = rig.now
    rig.now += timedelta(days=1)
    rig.place(type="LIMIT", limit_price="90")
    rig.now = start + timedelta(seconds=1)
    placed = rig.place(type="LIMIT", limit_price="91")
    with rig.engine.connect() as connection:
        wanted = OrderFilter(since=start, until=start + timedelta(minutes=1))
        found = list_orders(connection, rig.tenant, wanted, 10, None)
    assert [one.order.id for one in found] == [placed.id]
    assert placed.status is Status.ACCEPTED


def test_order_with_a_future_timestamp_is_not_a_duplicate(rig, monkeypatch):
    rig.open_portfolio()
    limits = Controls.limits

    def checking(controls, tenant_id, subject):
        return limits(controls, tenant_id, subject)._replace(repeat_order_seconds=Decimal(60))

    monkeypatch.setattr(Controls, "limits", checking)
    asked = ticket(type="LIMIT", limit_price="90")
    origin = rig.origin()._replace(actor="someone")

    def place(at):
        return rig.one(PlaceOrder(origin._replace(at=at), asked, "Growth", "growth")).status

    assert place(rig.now + timedelta(days=1)) is Status.ACCEPTED
    assert place(rig.now) is Status.ACCEPTED
    assert place(rig.now + timedelta(seconds=1)) is Status.DENIED
