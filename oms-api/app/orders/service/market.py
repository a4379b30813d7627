"""A quote has arrived: what ends, what is released, what matches."""

from decimal import Decimal

from app.market_data.rules.values import Quote
from app.money import ZERO
from app.orders.rules.families import EXITS, exit_quantity
from app.orders.rules.values import Order, Role, Status
from app.orders.service.changing import expire
from app.orders.service.commands import QuoteArrived
from app.orders.service.groups import left_to_take, release
from app.orders.service.halts import cancel_halted, list_halted
from app.orders.service.scene import Place, Scene
from app.orders.service.trading import due_at, match
from app.orders.service.yielding import trimmed


def quote_arrived(scene: Scene, command: QuoteArrived, places: list[Place]) -> None:
    """Match what works in the quote's symbol in those portfolios: at the quote if it is new, else at the one
    that stands by now.
    """
    quote = command.quote if command.is_new else scene.quote(command.tenant_id, command.quote.symbol)
    expire(scene, places, command.at)
    if quote is None or scene.tools.market.is_stale(quote, scene.now):
        return
    scene.learn(command.tenant_id, quote)
    for place in places:
        halted = list_halted(scene, place, quote.symbol)
        if command.is_new:
            cancel_halted(scene, halted, command.at)
        kept = {order.id for order in halted}  # they never fill: the kill switch cancels and lists them
        _release_kept(scene, place, quote, command.at)
        here = scene.blotter.open_of(place, quote.symbol)
        closing = [order for order in here if order.role is Role.CLOSING]
        if closing:  # before the exits, which it may cut; one by one, for each leaves less to the next
            _close(scene, closing, quote, command.at)
            here = [o for o in scene.blotter.open_of(place, quote.symbol) if o.role is not Role.CLOSING]
        due = [order for order in here if due_at(order, quote) and order.id not in kept]
        match(scene, due, quote, command.at)


def _close(scene: Scene, closing: list[Order], quote: Quote, at: str) -> None:
    for known in closing:
        order = trimmed(scene, known, at)
        if due_at(order, quote):
            match(scene, [order], quote, at)


def _release_kept(scene: Scene, place: Place, quote: Quote, at: str) -> None:
    """Exits and followers that a kill switch kept back are tried again."""
    for order in scene.blotter.open_of(place, quote.symbol):
        if order.status is Status.HELD:
            quantity = _due_quantity(scene, order)
            if quantity:
                release(scene, order, at, quantity=quantity)


def _due_quantity(scene: Scene, order: Order) -> Decimal:
    """Return what a held order may work on: an exit what its entry filled, a follower all of its own."""
    entry = scene.blotter.parent_of(order)
    if entry is None or not entry.filled_quantity:
        return ZERO
    if order.role in EXITS:
        return min(exit_quantity(entry, scene.blotter.children_of(entry)), left_to_take(scene, order))
    is_due = order.role is Role.FOLLOWER and entry.status is Status.FILLED
    return order.quantity if is_due else ZERO
