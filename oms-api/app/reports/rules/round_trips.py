"""Round trips: the course of a position from its opening until it is flat."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from typing import NamedTuple

from app.ledger.rules.accounting import FLAT, Position, Side, apply_fill
from app.ledger.rules.corporate_actions import Split, apply_split
from app.money import ZERO, compute_share, divide, multiply
from app.reports.rules.values import BookedFill, BookedSplit, BookedStep, PositionIdentity, split_at_flat
from app.timestamps import BEFORE_ALL, Timestamp


class RoundTrip(NamedTuple):
    """A position from its opening trade until it became flat.

    `side` is the side of the opening trade, `quantity` the sum of all opening fills. Prices are in the
    instrument's currency, amounts in the portfolio's. `max_adverse` and `max_favorable` are the largest loss
    and gain of the whole trip, before charges, at the prices that were traded while it was open; both are at
    least zero. Instants are canonical text.
    """

    identity: PositionIdentity
    side: Side
    quantity: Decimal
    entry_price: Decimal
    exit_price: Decimal
    opened_at: Timestamp
    closed_at: Timestamp
    realized_pnl: Decimal
    charges: Decimal
    highest_price: Decimal
    lowest_price: Decimal
    max_adverse: Decimal
    max_favorable: Decimal
    opening_trade_id: str
    closing_trade_id: str
    trades: int

    @property
    def net_pnl(self) -> Decimal:
        """Realized P&L after charges."""
        return self.realized_pnl - self.charges


@dataclass(slots=True)
class _OpenTrip:
    """A round trip that is not finished. Values are unsigned and in the instrument's currency."""

    side: Side
    opened_at: Timestamp
    opening_trade_id: str
    highest_price: Decimal
    lowest_price: Decimal
    position: Position = FLAT
    entered: Decimal = ZERO
    entered_value: Decimal = ZERO
    exited_value: Decimal = ZERO
    charges: Decimal = ZERO
    max_adverse: Decimal = ZERO
    max_favorable: Decimal = ZERO
    trade_ids: list[str] = field(default_factory=list)

    def add(self, booked_fill: BookedFill) -> None:
        """Apply a fill that does not take the position through zero."""
        fill = booked_fill.fill
        traded_value = fill.local_value if fill.currency is not None else fill.value
        self.position = apply_fill(self.position, fill)
        self.charges += booked_fill.charges
        self.trade_ids.append(booked_fill.trade_id)
        if fill.side is self.side:
            self.entered += fill.quantity
            self.entered_value += traded_value
        else:
            self.exited_value += traded_value
        self.highest_price = max(self.highest_price, booked_fill.price)
        self.lowest_price = min(self.lowest_price, booked_fill.price)
        rate = divide(fill.value, fill.local_value) if fill.local_value else None
        self._update_excursions(booked_fill.price, rate)

    def split(self, split: Split) -> None:
        """Restate quantities and prices in the units after a split."""
        new_units, old_units = split.ratio
        self.position = apply_split(self.position, split)
        self.entered = compute_share(self.entered, new_units, old_units)
        self.highest_price = compute_share(self.highest_price, old_units, new_units)
        self.lowest_price = compute_share(self.lowest_price, old_units, new_units)

    def _update_excursions(self, price: Decimal, rate: Decimal | None) -> None:
        value = multiply(self.position.quantity, price)
        if rate is not None:
            value = multiply(value, rate)
        gain = self.position.realized_pnl + value - self.position.cost
        self.max_adverse = max(self.max_adverse, -gain)
        self.max_favorable = max(self.max_favorable, gain)

    def finish(self, identity: PositionIdentity, closed_at: Timestamp) -> RoundTrip:
        """Return the round trip once the position is flat."""
        return RoundTrip(
            identity=identity,
            side=self.side,
            quantity=self.entered,
            entry_price=divide(self.entered_value, self.entered),
            exit_price=divide(self.exited_value, self.entered),
            opened_at=self.opened_at,
            closed_at=closed_at,
            realized_pnl=self.position.realized_pnl,
            charges=self.charges,
            highest_price=self.highest_price,
            lowest_price=self.lowest_price,
            max_adverse=self.max_adverse,
            max_favorable=self.max_favorable,
            opening_trade_id=self.trade_ids[0],
            closing_trade_id=self.trade_ids[-1],
            trades=len(self.trade_ids),
        )


def list_round_trips(identity: PositionIdentity, steps: Iterable[BookedStep]) -> Iterator[RoundTrip]:
    """Yield the finished round trips of a position, in the order in which they closed.

    Quantities and prices are in the units after the splits.
    """
    trip: _OpenTrip | None = None
    for trade in steps:
        if isinstance(trade, BookedSplit):
            if trip is not None:
                trip.split(trade.split)
            continue
        for booked_fill in split_at_flat(FLAT if trip is None else trip.position, trade):
            at = booked_fill.fill.at or BEFORE_ALL
            if trip is None:
                trip = _OpenTrip(
                    booked_fill.fill.side, at, booked_fill.trade_id, booked_fill.price, booked_fill.price
                )
            trip.add(booked_fill)
            if not trip.position.quantity:
                yield trip.finish(identity, at)
                trip = None
