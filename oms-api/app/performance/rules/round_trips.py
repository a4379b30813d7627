"""Round trips: what was earned from flat to flat, net of charges."""

from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import NamedTuple

from app.ledger.rules.accounting import FLAT, Fill, Position, apply_fill, closed_quantity
from app.money import ZERO, share
from app.performance.rules.values import CONTEXT


class ChargedFill(NamedTuple):
    """An unreversed fill and its charges, in the portfolio's currency."""

    fill: Fill
    charges: Decimal


class RoundTrip(NamedTuple):
    """A position from flat to flat, or to the change of its sign.

    `quantity` is the largest quantity held, without sign. `pnl` is net of `charges`; both are in the
    portfolio's currency. Instants are canonical text.
    """

    opened_at: str | None
    closed_at: str | None
    quantity: Decimal
    pnl: Decimal
    charges: Decimal


class TripStatistics(NamedTuple):
    """What closed round trips earned. Amounts are net of charges; None without such a round trip."""

    count: int
    win_rate: Decimal | None
    profit_factor: Decimal | None
    expectancy: Decimal | None
    average_win: Decimal | None
    average_loss: Decimal | None


def list_round_trips(fills: Iterable[ChargedFill]) -> list[RoundTrip]:
    """Return the closed round trips of one symbol and product, in order.

    A fill through zero ends one and begins the next. Its charges are split like its quantity.
    """
    trips: list[RoundTrip] = []
    position, charges, most, start = FLAT, ZERO, ZERO, ZERO
    for fill, fee in fills:
        after = apply_fill(position, fill)
        paid = _closing_charges(position, fill, fee)
        if position.quantity and after.quantity * position.quantity <= 0:
            cost = charges + paid
            earned = after.realized_pnl - start - cost
            trips.append(RoundTrip(position.opened_at, fill.at, most, earned, cost))
            charges, most, start, paid = ZERO, ZERO, after.realized_pnl, fee - paid
        position, charges, most = after, charges + paid, max(most, abs(after.quantity))
    return trips


def summarize_round_trips(trips: Sequence[RoundTrip]) -> TripStatistics:
    """Return the statistics of round trips. One that earned nothing is neither a win nor a loss."""
    wins = [trip.pnl for trip in trips if trip.pnl > 0]
    losses = [trip.pnl for trip in trips if trip.pnl < 0]
    won, lost = sum(wins, ZERO), sum(losses, ZERO)
    return TripStatistics(
        count=len(trips),
        win_rate=_ratio(Decimal(len(wins)), len(trips)),
        profit_factor=_ratio(won, -lost),
        expectancy=_ratio(won + lost, len(trips)),
        average_win=_ratio(won, len(wins)),
        average_loss=_ratio(lost, len(losses)),
    )


def _closing_charges(position: Position, fill: Fill, charges: Decimal) -> Decimal:
    """Return the part of the charges that belongs to the round trip that is open before the fill."""
    if not position.quantity:
        return charges
    closed = closed_quantity(position.quantity, fill.side.sign * fill.quantity)
    return share(charges, closed, fill.quantity) if closed and closed < fill.quantity else charges


def _ratio(amount: Decimal, divisor: Decimal | int) -> Decimal | None:
    return CONTEXT.divide(amount, Decimal(divisor)) if divisor else None
