"""How much of a quote or a bar each portfolio gets."""

from collections.abc import Mapping
from decimal import Decimal

from app.brokers.rules.values import BrokerOrder
from app.ledger.rules.accounting import Side
from app.money import ZERO, round_down_to

Used = Mapping[tuple[int, Side], Decimal]
_EITHER = Side.BUY  # on a bar both sides draw on one budget


class Supply:
    """One budget for each portfolio, and on a quote for each side, used up in the order of asking.

    `share` of the volume is the budget, None: there is no end to it. Units throughout.
    """

    def __init__(
        self, volumes: Mapping[Side, Decimal | None], share: Decimal | None, used: Used, *, by_side: bool
    ) -> None:
        self._volumes = volumes
        self._share = share
        self._used = dict(used)
        self._by_side = by_side

    def volume(self, side: Side) -> Decimal | None:
        """Return what the market has to give an order of `side`, None: not known."""
        return self._volumes[side]

    def available(self, order: BrokerOrder, wanted: Decimal) -> Decimal:
        """Return how much of `wanted` there is, in whole lots where the budget ends it."""
        volume = self._volumes[order.side]
        if volume is None or self._share is None:
            return wanted
        left = volume * self._share - self._used.get(self._key(order), ZERO)
        return wanted if wanted <= left else max(round_down_to(left, order.lot), ZERO)

    def take(self, order: BrokerOrder, quantity: Decimal) -> None:
        """Draw `quantity` from the budget."""
        key = self._key(order)
        self._used[key] = self._used.get(key, ZERO) + quantity

    def _key(self, order: BrokerOrder) -> tuple[int, Side]:
        return order.portfolio_id, order.side if self._by_side else _EITHER
