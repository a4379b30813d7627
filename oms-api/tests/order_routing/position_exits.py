"""Set the exits of the position in AAPL, and look at them."""

from decimal import Decimal

from app.orders.rules.values import FINAL_STATUSES, Order, StopLoss, TakeProfit
from app.orders.service.commands import SetExits
from tests.order_routing.scripted_broker import RoutingHarness


def set_exits(
    routing: RoutingHarness, take_profit: int | None, stop_loss: int | None, limit: int | None = None
) -> None:
    """Set the exits. `limit` is the limit price of the stop-loss. None removes an exit."""
    target = None if take_profit is None else TakeProfit(Decimal(take_profit))
    stop = (
        None if stop_loss is None else StopLoss(Decimal(stop_loss), None if limit is None else Decimal(limit))
    )
    portfolio = ("Growth", "growth", "AAPL", "")
    routing.harness.run_accepted(SetExits(routing.harness.build_origin(), *portfolio, target, stop))


def list_open_exits(routing: RoutingHarness, like: Order) -> list[tuple[str, str, int]]:
    """Return (type, status, open quantity) of the exits that have not ended. `like` is any order."""
    rows = routing.harness.query(
        "SELECT id FROM orders WHERE role IN ('take_profit', 'stop_loss') ORDER BY id"
    )
    orders = [routing.harness.get_order(like._replace(id=order_id)) for (order_id,) in rows]
    return [
        (order.type, order.status, int(order.leaves_quantity))
        for order in orders
        if order.status not in FINAL_STATUSES
    ]
