"""Tax lots, first in, first out. They are a report beside the average cost that the books use."""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import NamedTuple

from app.ledger.rules.accounting import FLAT, Position, Side, apply_fill
from app.ledger.rules.corporate_actions import Split, apply_split
from app.money import compute_share, divide
from app.reports.rules.values import BookedFill, BookedSplit, BookedStep, PositionIdentity, split_at_flat
from app.timestamps import BEFORE_ALL, Timestamp


class Lot(NamedTuple):
    """The open quantity of an opening trade, in the portfolio's currency.

    `charges` is its part of the trade's charges.
    """

    identity: PositionIdentity
    side: Side
    quantity: Decimal
    value: Decimal
    charges: Decimal
    opened_at: Timestamp
    trade_id: str

    @property
    def unit_cost(self) -> Decimal:
        """Value per unit."""
        return divide(self.value, self.quantity)


class ClosedLot(NamedTuple):
    """A part of a lot that a later trade closed.

    `cost` is the amount paid for the quantity (for a short: to buy it back), `proceeds` the amount of its
    sale. `charges` adds up its parts of the charges of both trades.
    """

    identity: PositionIdentity
    side: Side
    quantity: Decimal
    cost: Decimal
    proceeds: Decimal
    charges: Decimal
    opened_at: Timestamp
    closed_at: Timestamp
    opening_trade_id: str
    closing_trade_id: str

    @property
    def realized_pnl(self) -> Decimal:
        """Proceeds less cost, before charges."""
        return self.proceeds - self.cost


@dataclass(frozen=True, slots=True)
class Lots:
    """The open lots of a position, oldest first, and the closed ones in the order in which they closed."""

    open: list[Lot]
    closed: list[ClosedLot]


def match_lots(identity: PositionIdentity, steps: Iterable[BookedStep]) -> Lots:
    """Match the closing fills of a position with its oldest lots. A split multiplies their quantities."""
    position: Position = FLAT
    lots: deque[Lot] = deque()
    closed_lots: list[ClosedLot] = []
    for trade in steps:
        if isinstance(trade, BookedSplit):
            position = apply_split(position, trade.split)
            lots = _split_lots(lots, abs(position.quantity), trade.split)
            continue
        for booked_fill in split_at_flat(position, trade):
            fill = booked_fill.fill
            if lots and fill.side is not lots[0].side:
                closed_lots += _close_lots(lots, booked_fill)
            else:
                lots.append(
                    Lot(
                        identity=identity,
                        side=fill.side,
                        quantity=fill.quantity,
                        value=fill.value,
                        charges=booked_fill.charges,
                        opened_at=fill.at or BEFORE_ALL,
                        trade_id=booked_fill.trade_id,
                    )
                )
            position = apply_fill(position, fill)
    return Lots(list(lots), closed_lots)


def _close_lots(open_lots: deque[Lot], booked_fill: BookedFill) -> Iterable[ClosedLot]:
    """Yield the parts of lots that the fill closes. They hold at least its quantity."""
    fill = booked_fill.fill
    remaining_quantity, value, charges = fill.quantity, fill.value, booked_fill.charges
    while remaining_quantity:
        lot = open_lots.popleft()
        quantity = min(lot.quantity, remaining_quantity)
        closed_part, remaining_lot = _split_lot(lot, quantity)
        if remaining_lot is not None:
            open_lots.appendleft(remaining_lot)
        closing_value = compute_share(value, quantity, remaining_quantity)
        closing_charges = compute_share(charges, quantity, remaining_quantity)
        is_long = lot.side is Side.BUY
        cost, proceeds = (closed_part.value, closing_value) if is_long else (closing_value, closed_part.value)
        yield ClosedLot(
            identity=lot.identity,
            side=lot.side,
            quantity=quantity,
            cost=cost,
            proceeds=proceeds,
            charges=closed_part.charges + closing_charges,
            opened_at=lot.opened_at,
            closed_at=fill.at or BEFORE_ALL,
            opening_trade_id=lot.trade_id,
            closing_trade_id=booked_fill.trade_id,
        )
        remaining_quantity, value, charges = (
            remaining_quantity - quantity,
            value - closing_value,
            charges - closing_charges,
        )


def _split_lots(open_lots: Iterable[Lot], quantity: Decimal, split: Split) -> deque[Lot]:
    """Return the lots after a split. The last lot gets the difference that rounding leaves."""
    lots = [lot._replace(quantity=compute_share(lot.quantity, *split.ratio)) for lot in open_lots]
    if lots:
        rounded = quantity - sum(lot.quantity for lot in lots)
        lots[-1] = lots[-1]._replace(quantity=lots[-1].quantity + rounded)
    return deque(lot for lot in lots if lot.quantity > 0)


def _split_lot(lot: Lot, quantity: Decimal) -> tuple[Lot, Lot | None]:
    """Return `quantity` of the lot, and the rest of it, None if there is none."""
    if quantity == lot.quantity:
        return lot, None
    value, charges = (compute_share(amount, quantity, lot.quantity) for amount in (lot.value, lot.charges))
    closed_part = lot._replace(quantity=quantity, value=value, charges=charges)
    remaining_lot = lot._replace(
        quantity=lot.quantity - quantity, value=lot.value - value, charges=lot.charges - charges
    )
    return closed_part, remaining_lot
