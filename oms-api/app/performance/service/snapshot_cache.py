"""Keep stored snapshots of portfolios in memory. They never change, so that only new ones are read again."""

from collections import OrderedDict
from collections.abc import Callable, Hashable
from datetime import datetime
from threading import Lock
from typing import Generic, NamedTuple, TypeVar

from app.performance.rules.curves import EquityCurve
from app.performance.rules.values import EquitySeries

ColumnsT = TypeVar("ColumnsT", bound=EquityCurve | EquitySeries)

MAX_POINTS = 250_000  # of all portfolios together
MAX_SHIFT = 8  # a series is read again once its start moved by more than this part of its length


class SnapshotRange(NamedTuple):
    """The snapshots of a portfolio at `since` or later up to `until`."""

    since: datetime
    until: datetime


class CachedSnapshots(NamedTuple, Generic[ColumnsT]):
    """The snapshots of a range as columns, perhaps thinned, and how many are stored."""

    range: SnapshotRange
    columns: ColumnsT
    stored_count: int


class SnapshotCache(Generic[ColumnsT]):
    """Series by key, the least recently used of which are dropped. Thread-safe."""

    def __init__(self, max_points: int = MAX_POINTS) -> None:
        self._lock = Lock()
        self._series: OrderedDict[Hashable, CachedSnapshots[ColumnsT]] = OrderedDict()
        self._max_points, self._points = max_points, 0

    def find(
        self, key: Hashable, period: SnapshotRange, count: Callable[[SnapshotRange], int]
    ) -> CachedSnapshots[ColumnsT] | None:
        """Return the series of a key that begins at or shortly before the range, or None if there is none.

        `count` returns how many snapshots of a range are stored now: one may be stored late, and old ones are
        deleted.
        """
        with self._lock:
            cached_snapshots = self._series.get(key)
        if (
            cached_snapshots is None
            or cached_snapshots.range.until > period.until
            or cached_snapshots.range.since > period.since
        ):
            return None
        is_near = (period.since - cached_snapshots.range.since) * MAX_SHIFT <= period.until - period.since
        return (
            cached_snapshots
            if is_near and count(cached_snapshots.range) == cached_snapshots.stored_count
            else None
        )

    def put(self, key: Hashable, series: CachedSnapshots[ColumnsT]) -> None:
        """Store a series in the place of an earlier one."""
        with self._lock:
            previous = self._series.pop(key, None)
            self._points -= 0 if previous is None else len(previous.columns[0])
            self._series[key] = series
            self._points += len(series.columns[0])
            while self._points > self._max_points and len(self._series) > 1:
                _, dropped = self._series.popitem(last=False)
                self._points -= len(dropped.columns[0])
