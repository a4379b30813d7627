"""Curves that are read in parts are those that are read at once."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from app.performance.rules.curves import (
    CurveInterval,
    EquityCurve,
    convert_to_floats,
    extend_curve,
    prepend_curve,
    thin_curve,
)
from app.performance.service.snapshot_cache import CachedSnapshots, SnapshotCache, SnapshotRange
from app.timestamps import format_timestamp

START = datetime(2026, 11, 20, tzinfo=UTC)
SECONDS = st.lists(st.integers(0, 4_000), unique=True, max_size=60).map(sorted)


def build_curve(seconds):
    instants: list[str] = [format_timestamp(START + timedelta(seconds=number)) for number in seconds]
    return EquityCurve(instants, [f"{number}.00000000" for number in seconds], ["0.00000000"] * len(seconds))


@given(SECONDS, st.integers(0, 4_000), st.integers(0, 4_000), st.sampled_from(CurveInterval))
def test_curve_extended_by_parts_equals_the_whole(seconds, cut, begin, interval):
    whole, at = build_curve(seconds), format_timestamp(START + timedelta(seconds=cut))
    first, later = whole.split_after(at)
    assert extend_curve(thin_curve(first, interval), later, interval) == thin_curve(whole, interval)
    start = format_timestamp(START + timedelta(seconds=begin))
    assert thin_curve(whole, interval).select_since(start) == thin_curve(whole.select_since(start), interval)


@given(SECONDS, st.sampled_from(CurveInterval))
def test_point_before_a_curve_counts_unless_its_interval_has_a_later_one(seconds, interval):
    point, later = build_curve([0]), build_curve([number + 1 for number in seconds])
    joined = EquityCurve._make([*a, *b] for a, b in zip(point, later, strict=True))
    assert prepend_curve(point, thin_curve(later, interval), interval) == thin_curve(joined, interval)


def test_amounts_are_parsed():
    assert convert_to_floats(["1.50000000", "1.50000000"]) == [1.5, 1.5]
    assert convert_to_floats(["1.50000000", "2.00000000"]) == [1.5, 2.0]
    assert convert_to_floats([]) == []


def test_cache_drops_the_series_that_was_stored_first():
    cache: SnapshotCache[EquityCurve] = SnapshotCache(max_points=3)
    span = SnapshotRange(START, START + timedelta(days=1))
    for name, size in (("a", 2), ("b", 1), ("a", 1), ("c", 2)):
        cache.put(name, CachedSnapshots(span, build_curve(range(size)), size))
    assert cache.find("b", span, lambda _: 1) is None
    assert cache.find("a", span, lambda _: 1) is not None
    assert cache.find("a", span, lambda _: 2) is None  # one was stored since
    later = SnapshotRange(START + timedelta(hours=20), START + timedelta(hours=44))
    assert cache.find("a", later, lambda _: 1) is None  # most of it is too old
    assert cache.find("a", SnapshotRange(START, START + timedelta(hours=1)), lambda _: 1) is None
