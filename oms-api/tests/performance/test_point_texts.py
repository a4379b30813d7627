"""Texts of points are reused only for equal points."""

from datetime import UTC, datetime, timedelta

import orjson
from hypothesis import example, given
from hypothesis import strategies as st

from app.performance.rules.curves import EquityCurve, convert_to_floats
from app.performance.rules.drawdowns import compute_drawdowns
from app.performance.service.point_texts import PointTexts, format_points
from app.timestamps import format_timestamp

START = datetime(2026, 11, 20, tzinfo=UTC)
AMOUNTS = st.lists(st.integers(1, 9), min_size=1, max_size=8)


DAY = [(7, 0), (9, 0), (3, 0), (4, 0), (4, 0), (6, 0), (2, 0), (8, 0), (8, 0), (5, 0)]  # amounts and flows


def build_curve(first, amounts, flows):
    instants: list[str] = [
        format_timestamp(START + timedelta(seconds=first + number)) for number in range(len(amounts))
    ]
    columns = ([f"{amount}.00000000" for amount in column] for column in (amounts, flows))
    return EquityCurve(instants, *columns)


@given(st.lists(st.tuples(st.integers(0, 4), AMOUNTS), min_size=1, max_size=4), st.integers(1, 12))
def test_serialized_curve_equals_its_points(requests, limit):
    without_flows = [(first, amounts, [0] * len(amounts)) for first, amounts in requests]
    assert_serialized(PointTexts(limit), without_flows)


@given(
    st.lists(st.tuples(st.integers(-9, 9), st.integers(0, 2)), min_size=6, max_size=12),
    st.lists(st.tuples(st.integers(0, 4), st.integers(1, 8)), min_size=2, max_size=5),
)
@example(DAY, [(0, 6), (1, 7), (2, 8)])  # the peak of the day leaves the window
def test_sliding_window_of_a_curve_is_serialized_as_its_points(day, windows):
    requests = []
    for first, length in windows:
        amounts, flows = zip(*day[first : first + length], strict=True) if day[first:] else ((1,), (0,))
        requests.append((first, amounts, flows))
    assert_serialized(PointTexts(), requests)


def assert_serialized(cache, requests):
    for first, amounts, flows in requests:
        points = build_curve(first, amounts, flows)
        drawdowns = compute_drawdowns(*map(convert_to_floats, points[1:]))
        points_read = orjson.loads(orjson.dumps(cache.serialize("day", points)))
        assert points_read == [orjson.loads(text) for text in format_points(points, drawdowns)]


def test_point_without_a_drawdown_is_null():
    assert orjson.loads(format_points(build_curve(0, [1], [0]), [None])[0])["drawdown"] is None
