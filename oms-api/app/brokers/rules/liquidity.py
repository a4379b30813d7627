"""The quantity of a quote or bar that is available to each portfolio."""

from collections.abc import Mapping
from decimal import Decimal

from app.brokers.rules.values import BrokerOrder
from app.ledger.rules.accounting import Side
from app.money import ZERO, round_down_to_step

ConsumedQuantities = Mapping[tuple[int, Side], Decimal]
_SHARED_SIDE = Side.BUY  # on a bar both sides share one budget


class Liquidity:
    """The quantity that each portfolio may still trade, consumed in matching order.

    On a quote, each side has a budget of its own.

    `share` of the volume is the budget; None means unlimited. All quantities are in units.
    """

    def __init__(
        self,
        volumes: Mapping[Side, Decimal | None],
        share: Decimal | None,
        consumed_quantities: ConsumedQuantities,
        *,
        by_side: bool,
    ) -> None:
        self._volumes = volumes
        self._share = share
        self._consumed_quantities = dict(consumed_quantities)
        self._by_side = by_side

    def get_volume(self, side: Side) -> Decimal | None:
        """Return the volume available to an order of `side`, or None if it is unknown."""
        return self._volumes[side]

    def compute_available(self, order: BrokerOrder, quantity: Decimal) -> Decimal:
        """Return the available part of `quantity`, rounded down to lots if the budget limits it."""
        volume = self._volumes[order.side]
        if volume is None or self._share is None:
            return quantity
        remaining_quantity = volume * self._share - self._consumed_quantities.get(
            self._build_key(order), ZERO
        )
        return (
            quantity
            if quantity <= remaining_quantity
            else max(round_down_to_step(remaining_quantity, order.lot_size), ZERO)
        )

    def consume(self, order: BrokerOrder, quantity: Decimal) -> None:
        """Subtract `quantity` from the budget."""
        key = self._build_key(order)
        self._consumed_quantities[key] = self._consumed_quantities.get(key, ZERO) + quantity

    def _build_key(self, order: BrokerOrder) -> tuple[int, Side]:
        return order.portfolio_id, order.side if self._by_side else _SHARED_SIDE
