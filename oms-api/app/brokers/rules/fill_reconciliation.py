"""Find the fills that were not applied yet, even if a broker's sources name the same fill differently.

A broker may report a fill on its stream under one id, and list it later under another one. Ids alone do
not suffice: the filled quantity of the order limits how much can be missing.
"""

from collections import Counter
from collections.abc import Collection, Sequence
from decimal import Decimal
from typing import Protocol, TypeVar

from app.money import ZERO


class MatchableFill(Protocol):
    """A fill of one order: its id at the source that reported it, units, and price per unit."""

    @property
    def execution_id(self) -> str:
        """The id of the fill."""

    @property
    def quantity(self) -> Decimal:
        """The quantity in units."""

    @property
    def price(self) -> Decimal:
        """Price per unit."""


FillT = TypeVar("FillT", bound=MatchableFill)


def select_missing_fills(
    applied: Sequence[MatchableFill],
    reported: Sequence[FillT],
    filled: Decimal,
    busted_ids: Collection[str] = (),
) -> list[FillT]:
    """Return the reported fills of an order that must still be applied, in their order.

    `filled` is the order's filled quantity at the broker, `applied` the fills that count, and `busted_ids`
    are ids of fills that were busted. Together with the result they never exceed `filled`. If the unknown
    fills exceed the missing quantity, those that equal an applied fill in quantity and price are that fill
    under another id.
    """
    known_ids = {fill.execution_id for fill in applied} | set(busted_ids)
    unknown = [fill for fill in reported if fill.execution_id not in known_ids]
    missing = filled - sum((fill.quantity for fill in applied), ZERO)
    excess = sum((fill.quantity for fill in unknown), ZERO) - missing
    reported_ids = {fill.execution_id for fill in reported}
    renamed = Counter(
        (fill.quantity, fill.price) for fill in applied if fill.execution_id not in reported_ids
    )
    selected = []
    for fill in unknown:
        terms = (fill.quantity, fill.price)
        if renamed[terms] and fill.quantity <= excess:
            renamed[terms] -= 1
            excess -= fill.quantity
        elif fill.quantity <= missing:
            missing -= fill.quantity
            selected.append(fill)
    return selected
