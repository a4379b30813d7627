"""What locked portfolios hold and have at the market, valued once for a batch and kept up with it."""

from decimal import Decimal

from app.ledger.rules.accounting import Position, average_cost
from app.market_data.rules.values import Quote, mark
from app.orders.rules.families import closes_only, exclusive_id
from app.orders.rules.values import WORKING, Order
from app.orders.service.converting import rate_to_value_by
from app.orders.service.scene import Corner, Exposure, Place, Scene
from app.risk.rules.exposure import book_of, minus, plus, total_of
from app.risk.rules.values import Prices, WorkingOrder


def exposure_in(scene: Scene, place: Place) -> Exposure:
    """Return the portfolio's exposure; what orders changed since the last look is valued anew."""
    exposure = scene.exposures.get(place)
    if exposure is None:
        exposure = scene.exposures[place] = Exposure()
        due = {(key[2], key[3]) for key, held in scene.books.positions(place).items() if held.quantity}
        due |= {(order.symbol, order.product) for order in scene.blotter.open_in(place)}
        scene.blotter.dirty.pop(place, None)
    else:
        due = scene.blotter.dirty.pop(place, set())
        if exposure.rates:
            due |= _revalued(scene, place, exposure)
    for corner in due:
        _revalue(scene, place, exposure, corner)
    return exposure


def _revalued(scene: Scene, place: Place, exposure: Exposure) -> set[Corner]:
    """Return what is in another currency and has another rate by now."""
    return {
        corner
        for corner, rate in exposure.rates.items()
        if rate_to_value_by(scene, place, corner[0], scene.books.position((*place, *corner))) != rate
    }


def _revalue(scene: Scene, place: Place, exposure: Exposure, corner: Corner) -> None:
    before = exposure.books.get(corner)
    working = [one for one in scene.blotter.open_of(place, corner[0]) if one.product == corner[1]]
    held = scene.books.position((*place, *corner))
    quote = scene.quote(place[0], corner[0])
    rate = rate_to_value_by(scene, place, corner[0], held)
    prices = prices_of(quote)
    after = book_of(held.quantity, mark_of(quote, held), working_of(working, held), prices, rate=rate)
    exposure.quotes[corner] = quote
    _note_rate(exposure, corner, rate)
    if before != after:
        exposure.books[corner] = after
        rest = minus(exposure.total, total_of(before)) if before else exposure.total
        exposure.total = plus(rest, total_of(after))


def _note_rate(exposure: Exposure, corner: Corner, rate: Decimal | None) -> None:
    if rate is not None:
        exposure.rates[corner] = rate
    elif exposure.rates:
        exposure.rates.pop(corner, None)


def working_of(orders: list[Order], held: Position) -> list[WorkingOrder]:
    """Return those of the orders of a position that are at the market, as risk sees them."""
    return [
        WorkingOrder(
            side=order.side,
            type=order.type.value,
            leaves=order.leaves_quantity,
            limit_price=order.limit_price,
            stop_price=order.stop_price if order.trail_level is None else order.trail_level,
            is_triggered=order.is_triggered,
            group_id=order.group_id,
            exclusive_id=exclusive_id(order),
            is_exit=closes_only(order, held.quantity),
        )
        for order in orders
        if order.status in WORKING
    ]


def mark_of(quote: Quote | None, held: Position) -> Decimal | None:
    """Return what a position is valued at: mid, else last, else its own average cost, in its currency."""
    price = mark(quote) if quote else None
    if price is None and held.quantity:
        return average_cost(held.quantity, held.cost if held.currency is None else held.local_cost)
    return price


def prices_of(quote: Quote | None) -> Prices:
    """Return a quote as risk sees it."""
    return Prices(quote.bid, quote.ask, quote.last) if quote else Prices()
