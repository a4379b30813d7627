"""Drawdowns of equity curves. They follow the return index: a withdrawal is not a drawdown."""

from collections.abc import Sequence
from itertools import accumulate, groupby
from operator import itemgetter

from app.performance.rules.values import Drawdown
from app.timestamps import Timestamp


def compute_max_drawdown(instants: Sequence[Timestamp], index: Sequence[float]) -> Drawdown | None:
    """Return the largest drawdown of an index, the first of equal ones. None if the index never falls."""
    largest: Drawdown | None = None
    peak, peak_at = 0.0, None
    for at, level in zip(instants, index, strict=True):
        if peak_at is None or level >= peak:
            if largest is not None and largest.peak_at == peak_at and largest.recovered_at is None:
                largest = largest._replace(recovered_at=at)
            peak, peak_at = level, at
            continue
        share = 1.0 - level / peak
        if largest is None or share > largest.share:
            largest = Drawdown(share, peak_at, at, None)
    return largest


def compute_drawdowns(equities: Sequence[float], flows: Sequence[float]) -> list[float | None]:
    """Return the loss since the peak at each point, as a share of the peak. `flows` are running sums.

    It is None while the peak is not positive. A flow scales the peak, so that each value equals the
    drawdown of the return index. If a flow arrives while the equity is zero or below, a new peak begins.
    """
    return list_drawdowns(equities, list_peaks(equities, flows))


def list_drawdowns(equities: Sequence[float], peaks: Sequence[float]) -> list[float | None]:
    """Return the loss since the peak at each point, as `compute_drawdowns`, from the peaks."""
    return [1.0 - equity / peak if peak > 0 else None for equity, peak in zip(equities, peaks, strict=True)]


def list_peaks(equities: Sequence[float], flows: Sequence[float]) -> list[float]:
    """Return the peak at each point, which a flow scales. `flows` are running sums."""
    if not equities:
        return []
    return [equities[0], *extend_peaks(equities[0], flows[0], equities[1:], flows[1:])]


def extend_peaks(
    peak: float, paid_in: float, equities: Sequence[float], flows: Sequence[float]
) -> list[float]:
    """Return the peaks of later points, given the peak and the sum of flows of the point before them."""
    if flows.count(paid_in) == len(flows):
        return list(accumulate(equities, max, initial=peak))[1:]
    peaks: list[float] = []
    for flow, points in groupby(zip(equities, flows, strict=True), key=itemgetter(1)):
        current, *later = (equity for equity, _ in points)
        scaled_peak = peak if flow == paid_in else _scale_peak(peak, current, flow - paid_in)
        peaks.extend(accumulate(later, max, initial=max(scaled_peak, current)))
        peak, paid_in = peaks[-1], flow
    return peaks


def _scale_peak(peak: float, equity: float, flow: float) -> float:
    previous = equity - flow
    return equity if previous <= 0 else max(peak, previous) * equity / previous
