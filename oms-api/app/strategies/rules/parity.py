"""Differences between the live run of a strategy and the replay of its journal."""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import NamedTuple

from app.money import format_fixed, format_optional_fixed

MAX_DELAY = timedelta(seconds=10)  # from an input to the order that it caused


class DifferenceKind(StrEnum):
    """The kind of a difference.

    MISSING: only the replay has the order or fill. EXTRA: only the live run has it.
    """

    MISSING = "missing"
    EXTRA = "extra"
    PRICE = "price"
    QUANTITY = "quantity"
    TIME = "time"


class ParityDifference(NamedTuple):
    """A difference of an order or of a fill: the live value, the replayed value, and the cause."""

    kind: DifferenceKind
    order_id: str
    live_value: str | None
    replayed_value: str | None
    cause: str


class ComparedOrder(NamedTuple):
    """The terms of an order, when it was made, and the id of the order that it replaces."""

    symbol: str
    side: str
    quantity: Decimal | None
    limit_price: Decimal | None
    stop_price: Decimal | None
    at: datetime
    replaces: str | None = None

    def describe(self) -> str:
        """Return the order in words."""
        size = "a value" if self.quantity is None else format_fixed(self.quantity)
        return f"{self.side} {size} {self.symbol}"


class ComparedFill(NamedTuple):
    """The price and the quantity of a fill."""

    price: Decimal
    quantity: Decimal


def compare_orders(
    live_orders: Mapping[str, ComparedOrder], replayed_orders: Mapping[str, ComparedOrder], cause: str
) -> list[ParityDifference]:
    """Return the differences by id. `cause` is the cause of orders that only one of the two has.

    Differences of a replaced order are not repeated for its replacement.
    """
    differences_by_order: dict[str, list[ParityDifference]] = {}
    for order_id in live_orders.keys() | replayed_orders.keys():
        differences_by_order[order_id] = list(
            _compare_order(order_id, live_orders.get(order_id), replayed_orders.get(order_id), cause)
        )
    differences: list[ParityDifference] = []
    for order_id in sorted(differences_by_order):
        order = live_orders.get(order_id) or replayed_orders[order_id]
        earlier = {
            _get_content(difference) for difference in differences_by_order.get(order.replaces or "", ())
        }
        differences += [
            difference
            for difference in differences_by_order[order_id]
            if _get_content(difference) not in earlier
        ]
    return differences


def _get_content(difference: ParityDifference) -> tuple[DifferenceKind, str | None, str | None]:
    return difference.kind, difference.live_value, difference.replayed_value


def _compare_order(
    order_id: str, live_order: ComparedOrder | None, replayed_order: ComparedOrder | None, cause: str
) -> Iterable[ParityDifference]:
    if live_order is not None and replayed_order is not None:
        yield from _compare_terms(order_id, live_order, replayed_order, cause)
        return
    kind = DifferenceKind.MISSING if live_order is None else DifferenceKind.EXTRA
    descriptions = [None if order is None else order.describe() for order in (live_order, replayed_order)]
    yield ParityDifference(kind, order_id, descriptions[0], descriptions[1], cause)


def _compare_terms(
    order_id: str, live_order: ComparedOrder, replayed_order: ComparedOrder, cause: str
) -> Iterable[ParityDifference]:
    terms = (
        (DifferenceKind.QUANTITY, live_order.quantity, replayed_order.quantity),
        (DifferenceKind.PRICE, live_order.limit_price, replayed_order.limit_price),
        (DifferenceKind.PRICE, live_order.stop_price, replayed_order.stop_price),
    )
    for kind, live_value, replayed_value in terms:
        if live_value != replayed_value:
            yield ParityDifference(
                kind,
                order_id,
                format_optional_fixed(live_value),
                format_optional_fixed(replayed_value),
                cause,
            )
    if live_order.at - replayed_order.at > MAX_DELAY:
        delay_seconds = (live_order.at - replayed_order.at).total_seconds()
        late = f"The order was placed {delay_seconds:.0f} s after its input."
        times = (live_order.at.isoformat(), replayed_order.at.isoformat())
        yield ParityDifference(DifferenceKind.TIME, order_id, *times, late)


def compare_fill(
    order_id: str, live_fill: ComparedFill, candidates: Iterable[ComparedFill]
) -> list[ParityDifference]:
    """Return the differences of a fill from the matched fills `candidates`, at the quotes of its time."""
    replayed_fills = list(candidates)
    if live_fill in replayed_fills:
        return []
    if not replayed_fills:
        cause = "The quote at the time of the fill does not fill the order."
        return [ParityDifference(DifferenceKind.EXTRA, order_id, format_fixed(live_fill.price), None, cause)]
    replayed_fill = replayed_fills[0]
    cause = "The quote at the time of the fill gives another price or quantity."
    pairs = (
        (DifferenceKind.PRICE, live_fill.price, replayed_fill.price),
        (DifferenceKind.QUANTITY, live_fill.quantity, replayed_fill.quantity),
    )
    return [
        ParityDifference(kind, order_id, format_fixed(live_value), format_fixed(replayed_value), cause)
        for kind, live_value, replayed_value in pairs
        if live_value != replayed_value
    ]
