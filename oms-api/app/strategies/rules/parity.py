"""Differences between what a strategy did and what the replay of its journal gives."""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import NamedTuple

from app.money import format_fixed, format_optional_fixed

MAX_DELAY = timedelta(seconds=10)  # from an input to the order that it caused


class DifferenceKind(StrEnum):
    """What differs.

    MISSING: the replay gives it, and it did not happen. EXTRA: it happened, and the replay does not give it.
    """

    MISSING = "missing"
    EXTRA = "extra"
    PRICE = "price"
    QUANTITY = "quantity"
    TIME = "time"


class ParityDifference(NamedTuple):
    """A difference of an order or of a fill: our value, that of the replay, and the cause in words."""

    kind: DifferenceKind
    order_id: str
    ours: str | None
    replayed: str | None
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
    ours: Mapping[str, ComparedOrder], replayed: Mapping[str, ComparedOrder], cause: str
) -> list[ParityDifference]:
    """Return the differences by id. `cause` is that of orders which only one of the two has.

    What a replaced order differs in already is not repeated for the one that replaces it.
    """
    found: dict[str, list[ParityDifference]] = {}
    for order_id in ours.keys() | replayed.keys():
        found[order_id] = list(_compare_order(order_id, ours.get(order_id), replayed.get(order_id), cause))
    differences: list[ParityDifference] = []
    for order_id in sorted(found):
        order = ours.get(order_id) or replayed[order_id]
        earlier = {_get_content(difference) for difference in found.get(order.replaces or "", ())}
        differences += [
            difference for difference in found[order_id] if _get_content(difference) not in earlier
        ]
    return differences


def _get_content(difference: ParityDifference) -> tuple[DifferenceKind, str | None, str | None]:
    return difference.kind, difference.ours, difference.replayed


def _compare_order(
    order_id: str, ours: ComparedOrder | None, replayed: ComparedOrder | None, cause: str
) -> Iterable[ParityDifference]:
    if ours is not None and replayed is not None:
        yield from _compare_terms(order_id, ours, replayed, cause)
        return
    kind = DifferenceKind.MISSING if ours is None else DifferenceKind.EXTRA
    descriptions = [None if order is None else order.describe() for order in (ours, replayed)]
    yield ParityDifference(kind, order_id, descriptions[0], descriptions[1], cause)


def _compare_terms(
    order_id: str, compared_order: ComparedOrder, replayed: ComparedOrder, cause: str
) -> Iterable[ParityDifference]:
    terms = (
        (DifferenceKind.QUANTITY, compared_order.quantity, replayed.quantity),
        (DifferenceKind.PRICE, compared_order.limit_price, replayed.limit_price),
        (DifferenceKind.PRICE, compared_order.stop_price, replayed.stop_price),
    )
    for kind, one, other in terms:
        if one != other:
            yield ParityDifference(
                kind, order_id, format_optional_fixed(one), format_optional_fixed(other), cause
            )
    if compared_order.at - replayed.at > MAX_DELAY:
        late = (
            f"The order was placed {(compared_order.at - replayed.at).total_seconds():.0f} s after its input."
        )
        times = (compared_order.at.isoformat(), replayed.at.isoformat())
        yield ParityDifference(DifferenceKind.TIME, order_id, *times, late)


def compare_fill(
    order_id: str, compared_fill: ComparedFill, candidates: Iterable[ComparedFill]
) -> list[ParityDifference]:
    """Return the differences of a fill from what matching gives; `candidates` are by the quotes of then."""
    compared_fills = list(candidates)
    if compared_fill in compared_fills:
        return []
    if not compared_fills:
        cause = "The quote at the time of the fill does not fill the order."
        return [
            ParityDifference(DifferenceKind.EXTRA, order_id, format_fixed(compared_fill.price), None, cause)
        ]
    replayed, cause = compared_fills[0], "The quote at the time of the fill gives another price or quantity."
    pairs = (
        (DifferenceKind.PRICE, compared_fill.price, replayed.price),
        (DifferenceKind.QUANTITY, compared_fill.quantity, replayed.quantity),
    )
    return [
        ParityDifference(kind, order_id, format_fixed(one), format_fixed(other), cause)
        for kind, one, other in pairs
        if one != other
    ]
