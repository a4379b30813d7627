"""Serialize the points of equity curves, and keep their texts: most of a curve was requested before."""

from bisect import bisect_left
from collections import OrderedDict
from collections.abc import Hashable, Sequence
from threading import Lock
from typing import NamedTuple

import orjson

from app.money import money_text
from app.performance.rules.curves import EquityCurve

MAX_POINTS = 100_000  # of all curves together


class SerializedCurve(NamedTuple):
    """A curve with the JSON text of each point."""

    points: EquityCurve
    drawdowns: list[float | None]
    texts: list[str]


class PointTexts:
    """The texts of the curves that were requested last, by any key. Thread-safe."""

    def __init__(self, max_points: int = MAX_POINTS) -> None:
        self._lock = Lock()
        self._curves: OrderedDict[Hashable, SerializedCurve] = OrderedDict()
        self._max_points = max_points

    def serialize(self, key: Hashable, points: EquityCurve, drawdowns: list[float | None]) -> orjson.Fragment:
        """Return the points as JSON, an array of `CurvePointOut`.

        A text is only reused for an equal point, so that the key need not identify the content.
        """
        with self._lock:
            previous = self._curves.pop(key, None)
        known = [] if previous is None else _find_known_texts(previous, points, drawdowns)
        later = EquityCurve._make(column[len(known) :] for column in points)
        texts = [*known, *format_points(later, drawdowns[len(known) :])]
        with self._lock:
            self._curves[key] = SerializedCurve(points, drawdowns, texts)
            while len(self._curves) > 1 and self._count() > self._max_points:
                self._curves.popitem(last=False)
        return orjson.Fragment(f"[{','.join(texts)}]")

    def _count(self) -> int:
        return sum(len(curve.texts) for curve in self._curves.values())


def format_points(points: EquityCurve, drawdowns: Sequence[float | None]) -> list[str]:
    """Return the JSON text of each point. Objects would take twice as long."""
    equities = [text if text[-1] != "0" else money_text(text) for text in points.equities]
    return [
        f'{{"at":"{at}","equity":"{equity}","drawdown":"{share:.8f}"}}'
        if share is not None
        else f'{{"at":"{at}","equity":"{equity}","drawdown":null}}'
        for at, equity, share in zip(points.instants, equities, drawdowns, strict=True)
    ]


def _find_known_texts(
    previous: SerializedCurve, points: EquityCurve, drawdowns: list[float | None]
) -> list[str]:
    """Return the texts of the first points, if the previous curve has them one after another.

    Its last point was the value of that moment, which is in no later curve.
    """
    start = bisect_left(previous.points.instants, points.instants[0])
    count = min(len(previous.texts) - 1 - start, len(points.instants))
    if count <= 0:
        return []
    end = start + count
    is_same = (
        previous.points.instants[start:end] == points.instants[:count]
        and previous.points.equities[start:end] == points.equities[:count]
        and previous.drawdowns[start:end] == drawdowns[:count]
    )
    return previous.texts[start:end] if is_same else []
