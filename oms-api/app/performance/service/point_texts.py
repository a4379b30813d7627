"""Serialize the points of equity curves, and keep their texts: most of a curve was requested before."""

from bisect import bisect_left
from collections import OrderedDict
from collections.abc import Hashable, Sequence
from threading import Lock
from typing import NamedTuple

import orjson

from app.money import shorten_amount
from app.performance.rules.curves import EquityCurve, convert_to_floats
from app.performance.rules.drawdowns import extend_peaks, list_drawdowns, list_peaks

MAX_POINTS = 100_000  # of all curves together


class SerializedCurve(NamedTuple):
    """A curve with its amounts, the peak before or at each point, and the JSON text of each point."""

    points: EquityCurve
    equities: list[float]
    flows: list[float]
    peaks: list[float]
    texts: list[str]


class PointTexts:
    """The texts of the curves that were requested last, by any key. Thread-safe."""

    def __init__(self, max_points: int = MAX_POINTS) -> None:
        self._lock = Lock()
        self._curves: OrderedDict[Hashable, SerializedCurve] = OrderedDict()
        self._max_points = max_points

    def serialize(self, key: Hashable, points: EquityCurve) -> orjson.Fragment:
        """Return the points with their drawdowns as JSON, an array of `CurvePointOut`.

        A text is only reused for an equal point after equal ones, so that the key need not identify the
        content.
        """
        with self._lock:
            previous = self._curves.pop(key, None)
        serialized_curve = None if previous is None else _find_known_points(previous, points)
        curve = (
            _serialize_points(points) if serialized_curve is None else _extend_curve(serialized_curve, points)
        )
        with self._lock:
            self._curves[key] = curve
            while len(self._curves) > 1 and self._count_points() > self._max_points:
                self._curves.popitem(last=False)
        return orjson.Fragment(f"[{','.join(curve.texts)}]")

    def _count_points(self) -> int:
        return sum(len(curve.texts) for curve in self._curves.values())


def format_points(points: EquityCurve, drawdowns: Sequence[float | None]) -> list[str]:
    """Return the JSON text of each point. Objects would take twice as long."""
    equities = [text if text[-1] != "0" else shorten_amount(text) for text in points.equities]
    return [
        f'{{"at":"{at}","equity":"{equity}","drawdown":"{share:.8f}"}}'
        if share is not None
        else f'{{"at":"{at}","equity":"{equity}","drawdown":null}}'
        for at, equity, share in zip(points.instants, equities, drawdowns, strict=True)
    ]


def _serialize_points(points: EquityCurve) -> SerializedCurve:
    equities, flows = convert_to_floats(points.equities), convert_to_floats(points.flows)
    peaks = list_peaks(equities, flows)
    texts = format_points(points, list_drawdowns(equities, peaks))
    return SerializedCurve(points, equities, flows, peaks, texts)


def _extend_curve(serialized_curve: SerializedCurve, points: EquityCurve) -> SerializedCurve:
    """Return the serialized points. The first ones are known."""
    count = len(serialized_curve.texts)
    later = EquityCurve._make(column[count:] for column in points)
    equities, flows = convert_to_floats(later.equities), convert_to_floats(later.flows)
    peaks = extend_peaks(serialized_curve.peaks[-1], serialized_curve.flows[-1], equities, flows)
    texts = format_points(later, list_drawdowns(equities, peaks))
    return SerializedCurve(
        points,
        serialized_curve.equities + equities,
        serialized_curve.flows + flows,
        serialized_curve.peaks + peaks,
        serialized_curve.texts + texts,
    )


def _find_known_points(previous: SerializedCurve, points: EquityCurve) -> SerializedCurve | None:
    """Return the first points, if the previous curve has them one after another.

    Its last point was the value of that moment, which is in no later curve.
    """
    start = bisect_left(previous.points.instants, points.instants[0])
    count = min(len(previous.texts) - 1 - start, len(points.instants))
    if count <= 0:
        return None
    serialized_curve = SerializedCurve(
        EquityCurve._make(column[start : start + count] for column in previous.points),
        previous.equities[start : start + count],
        previous.flows[start : start + count],
        previous.peaks[start : start + count],
        previous.texts[start : start + count],
    )
    if serialized_curve.points != EquityCurve._make(column[:count] for column in points):
        return None
    return serialized_curve if not start else _drop_first_points(serialized_curve)


def _drop_first_points(serialized_curve: SerializedCurve) -> SerializedCurve | None:
    """Return known points whose peaks begin at the first of them. None if cash flowed in between.

    From the first equal peak on, all later ones are equal.
    """
    _, equities, flows, peaks, texts = serialized_curve
    if flows.count(flows[0]) != len(flows):
        return None
    peak = equities[0]
    for number, equity in enumerate(equities):
        peak = max(peak, equity)
        if peak == peaks[number]:
            break
        peaks[number] = peak
    else:
        number = len(equities)
    first = EquityCurve._make(column[:number] for column in serialized_curve.points)
    texts[:number] = format_points(first, list_drawdowns(equities[:number], peaks[:number]))
    return serialized_curve
