"""The highest and lowest price of an open position, and its maximum drawdown, from fills and bars.

The P&L of a position is realized + unrealized, in the portfolio's currency, before charges. The drawdown is
the highest P&L so far less the current one. Within a bar the favorable extreme comes first, so that the
drawdown is never too small. All figures begin again when the position opens or goes through zero.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import NamedTuple

from app.market_data.rules.bars import Interval, get_bar_start
from app.market_data.rules.values import Bar
from app.money import ZERO, compute_share, multiply

_MINUTE = Interval.MINUTE.length
_SMALLEST = Decimal("0.00000001")
RateAt = Callable[[datetime], Decimal | None]  # None: the position trades in the portfolio's currency


class Extremes(NamedTuple):
    """Prices are per unit in the instrument's currency, P&L and drawdown in the portfolio's."""

    highest_price: Decimal
    lowest_price: Decimal
    peak_pnl: Decimal
    max_drawdown: Decimal


class PositionAfterRow(NamedTuple):
    """A position as a row of the ledger leaves it."""

    quantity: Decimal = ZERO
    cost: Decimal = ZERO
    realized_pnl: Decimal = ZERO


class LedgerRow(NamedTuple):
    """A row of the ledger and the position after it. `at` is when it was recorded."""

    sequence: int
    at: datetime
    is_trade: bool
    price: Decimal
    charges: Decimal
    position: PositionAfterRow


class PositionRecord(NamedTuple):
    """The figures of a position.

    They include the rows of the ledger up to `sequence`, and the prices before `until`. `charges` are those
    of all its trades. `extremes` is None while it is flat.
    """

    sequence: int
    until: datetime
    position: PositionAfterRow
    charges: Decimal
    extremes: Extremes | None


class PricePoint(NamedTuple):
    """A price at an instant."""

    at: datetime
    price: Decimal


class PriceHistory(NamedTuple):
    """The prices of a symbol: one-minute bars in time order, and ticks by the start of their minute."""

    bars: Sequence[Bar]
    ticks: Mapping[datetime, Sequence[PricePoint]]
    rate_at: RateAt


def list_precise_minutes(until: datetime, rows: Iterable[LedgerRow]) -> set[datetime]:
    """Return the minutes whose bar does not fit the position, since it changed within them."""
    minutes = {get_bar_start(row.at, Interval.MINUTE) for row in rows}
    first = get_bar_start(until, Interval.MINUTE)
    return minutes if first == until else minutes | {first}


def extend_record(
    record: PositionRecord, rows: Sequence[LedgerRow], prices: PriceHistory, now: datetime
) -> PositionRecord:
    """Return the record extended by further rows of the ledger and by the prices up to `now`.

    In a minute in which the position changed, its ticks count instead of the bar. If no ticks are kept,
    the close counts once the minute is complete.
    """
    precise = list_precise_minutes(record.until, rows)
    steps: list[tuple[datetime, int, LedgerRow | Bar | Decimal]] = [(row.at, 0, row) for row in rows]
    for bar in prices.bars:
        steps += _list_steps(bar, prices, record.until, now, is_precise=bar.start in precise)
    position, charges, extremes, sequence = record.position, record.charges, record.extremes, record.sequence
    for at, _, step in sorted(steps, key=lambda step: step[:2]):
        rate = prices.rate_at(at)
        if isinstance(step, LedgerRow):
            extremes = _apply_row(extremes, position, step, rate)
            position, charges, sequence = step.position, charges + step.charges, step.sequence
        elif position.quantity:
            extreme_prices = _list_bar_prices(step, position) if isinstance(step, Bar) else (step,)
            for price in extreme_prices:
                extremes = extend_extremes(extremes, position, price, rate)
    minute = get_bar_start(now, Interval.MINUTE)
    until = max(now if minute in precise else minute, record.until)
    return PositionRecord(sequence, until, position, charges, extremes)


def extend_extremes(
    extremes: Extremes | None, position: PositionAfterRow, price: Decimal, rate: Decimal | None
) -> Extremes:
    """Return the extremes extended by a price of an open position; None starts new ones."""
    value = multiply(position.quantity, price)
    pnl = position.realized_pnl + (value if rate is None else multiply(value, rate)) - position.cost
    if extremes is None:
        return Extremes(price, price, pnl, ZERO)
    peak = max(extremes.peak_pnl, pnl)
    return Extremes(
        max(extremes.highest_price, price),
        min(extremes.lowest_price, price),
        peak,
        max(extremes.max_drawdown, peak - pnl),
    )


def _list_steps(
    bar: Bar, prices: PriceHistory, until: datetime, now: datetime, *, is_precise: bool
) -> list[tuple[datetime, int, Bar | Decimal]]:
    if not is_precise:
        return [(bar.start, 1, bar)]
    ticks = prices.ticks.get(bar.start)
    if ticks:
        return [(tick.at, 1, tick.price) for tick in ticks if tick.at >= until]
    end = bar.start + _MINUTE
    return [(end - timedelta.resolution, 1, bar.close)] if end <= now else []


def _apply_row(
    extremes: Extremes | None, before: PositionAfterRow, row: LedgerRow, rate: Decimal | None
) -> Extremes | None:
    """Return the extremes after a row of the ledger. The price of a reversal is not one of the market.

    A split, which changes the quantity alone, restates the prices.
    """
    after = row.position
    if not after.quantity:
        return None
    if before.quantity * after.quantity <= 0:
        extremes = None
    if extremes is not None and not row.is_trade:
        is_split = before[1:] == after[1:]
        return _restate_prices(extremes, before.quantity, after.quantity) if is_split else extremes
    return extend_extremes(extremes, after, row.price, rate)


def _restate_prices(extremes: Extremes, previous: Decimal, current: Decimal) -> Extremes:
    """Return the extremes in the units of the current quantity."""
    highest, lowest = (
        max(compute_share(price, previous, current), _SMALLEST)
        for price in (extremes.highest_price, extremes.lowest_price)
    )
    return extremes._replace(highest_price=highest, lowest_price=lowest)


def _list_bar_prices(bar: Bar, position: PositionAfterRow) -> tuple[Decimal, ...]:
    """Return the prices of a bar in the order that makes the largest drawdown."""
    if position.quantity > 0:
        return bar.high, bar.low, bar.close
    return bar.low, bar.high, bar.close
