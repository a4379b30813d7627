"""Texts of points are reused only for equal points."""

from datetime import UTC, datetime, timedelta

import orjson
from hypothesis import given
from hypothesis import strategies as st

from app.performance.rules.curves import EquityCurve, parse_amounts
from app.performance.rules.drawdowns import compute_drawdowns
from app.performance.service.point_texts import PointTexts, format_points
from app.timestamps import iso

START = datetime(2026, 11, 20, tzinfo=UTC)
AMOUNTS = st.lists(st.integers(1, 9), min_size=1, max_size=8)


def curve(first, amounts):
    instants: list[str] = [iso(START + timedelta(seconds=first + number)) for number in range(len(amounts))]
    return EquityCurve(instants, [f"{amount}.00000000" for amount in amounts], ["0.00000000"] * len(amounts))


@given(st.lists(st.tuples(st.integers(0, 4), AMOUNTS), min_size=1, max_size=4), st.integers(1, 12))
def test_serialized_curve_is_that_of_its_points(requests, limit):
    cache = PointTexts(limit)
    for number, (first, amounts) in enumerate(requests):
        points = curve(first, amounts)
        drawdowns = compute_drawdowns(*map(parse_amounts, points[1:]))
        found = orjson.loads(orjson.dumps(cache.serialize(number % 2, points, drawdowns)))
        assert found == [orjson.loads(text) for text in format_points(points, drawdowns)]


def test_point_without_a_drawdown_is_null():
    assert orjson.loads(format_points(curve(0, [1]), [None])[0])["drawdown"] is None
