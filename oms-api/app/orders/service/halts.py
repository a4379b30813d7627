"""What a halt does to orders: those that could open or increase a position end, and never fill."""

from collections.abc import Iterable

from app.orders.rules.families import opening_orders
from app.orders.rules.values import FINAL, Order
from app.orders.service.groups import cancel
from app.orders.service.scene import Corner, Place, Scene
from app.risk.rules.values import TradingState

REASON = "Trading is halted"
_SWITCH = "kill switch"  # who cancels what an answered halt could not reach in time


def opening_in(scene: Scene, place: Place, symbol: str | None = None) -> list[Order]:
    """Return the open orders of a portfolio, of one symbol where it is given, that could open or increase a
    position.
    """
    here: dict[Corner, list[Order]] = {}
    orders: Iterable[Order] = scene.blotter.open_in(place)
    for order in orders if symbol is None else scene.blotter.open_of(place, symbol):
        here.setdefault((order.symbol, order.product), []).append(order)
    found = []
    for corner, orders in here.items():
        found += opening_orders(orders, scene.books.position((*place, *corner)).quantity)
    return found


def list_halted(scene: Scene, place: Place, symbol: str) -> list[Order]:
    """Return the open orders of a symbol that a halt is about to cancel."""
    if not scene.is_any_halted(place):
        return []
    found = opening_in(scene, place, symbol)
    return [order for order in found if scene.state(order)[0] is TradingState.HALTED]


def cancel_halted(scene: Scene, orders: Iterable[Order], at: str) -> None:
    """Cancel what a halt forbids before a new quote can fill it."""
    for known in orders:
        order = scene.blotter.now(known)  # a group may have ended it meanwhile
        if order.status not in FINAL:
            cancel(scene, order, at, _SWITCH, reason=REASON)
