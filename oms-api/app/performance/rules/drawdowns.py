"""Drawdowns of equity curves. They follow the return index: a withdrawal is no drawdown."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from decimal import Decimal

from app.money import ZERO
from app.performance.rules.values import CONTEXT, ONE, Drawdown, EquityPoint


def find_max_drawdown(instants: Sequence[datetime], index: Sequence[Decimal]) -> Drawdown | None:
    """Return the largest drawdown of an index, the first of equal ones. None if the index never falls."""
    largest: Drawdown | None = None
    peak, peak_at = ZERO, None
    for at, level in zip(instants, index, strict=True):
        if peak_at is None or level >= peak:
            if largest is not None and largest.peak_at == peak_at and largest.recovered_at is None:
                largest = largest._replace(recovered_at=at)
            peak, peak_at = level, at
            continue
        share = ONE - CONTEXT.divide(level, peak)
        if largest is None or share > largest.share:
            largest = Drawdown(share, peak_at, at, None)
    return largest


def compute_drawdowns(points: Iterable[EquityPoint]) -> list[Decimal | None]:
    """Return the loss since the peak at each point, as a share of the peak.

    It is None while the peak is not positive. A flow scales the peak, so that each value is that of the
    return index. If a flow arrives while the equity is zero or below, a new peak begins.
    """
    drawdowns: list[Decimal | None] = []
    peak = flows = ZERO
    divide = CONTEXT.divide
    for _, equity, flows_after, _ in points:
        if flows_after != flows and drawdowns:
            peak = _scale_peak(peak, equity, flows_after - flows)
        flows = flows_after
        peak = max(peak, equity)
        drawdowns.append(ONE - divide(equity, peak) if peak > 0 else None)
    return drawdowns


def _scale_peak(peak: Decimal, equity: Decimal, flow: Decimal) -> Decimal:
    before = equity - flow
    if before <= 0:
        return equity
    return CONTEXT.divide(CONTEXT.multiply(max(peak, before), equity), before)
