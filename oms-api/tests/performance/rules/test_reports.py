"""Statistics of a period, thinned curves, and prices of the same days."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import reduce

from hypothesis import given
from hypothesis import strategies as st

from app.calendars.rules.values import MarketIdentifier
from app.calendars.service import Calendars
from app.calendars.sources import ReleasedCalendars
from app.performance.rules.closes import MAX_MISSED_CLOSES, get_last_close, get_next_close, list_missed_closes
from app.performance.rules.curves import CurveInterval, CurvePeriod, EquityCurve, thin_curve
from app.performance.rules.reports import summarize_equity
from app.performance.rules.value_at_risk import align_closes
from app.performance.rules.values import EquitySeries, Snapshot
from app.timestamps import format_timestamp
from tests.support.values import require_value

START = datetime(2026, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)


def build_point(day, equity, gross=0, charges=0, flows=0, is_close=True):
    amounts = [float(equity)], [float(flows)]
    return EquitySeries(
        [format_timestamp(START + day * DAY)], *amounts, [is_close], [float(gross)], [str(charges)]
    )


def join_curves(*rows):
    return reduce(EquitySeries.concatenate, rows)


def test_equity_of_a_period_is_summarized():
    series = join_curves(
        build_point(0, 100, charges=1),
        build_point(1, 101, gross=202, charges=3),
        build_point(2, 90, charges=4),
        build_point(3, 99, gross=33, charges=4, is_close=False),
    )
    statistics = require_value(summarize_equity(series, [Decimal(150), Decimal(45)], 252))
    assert (statistics.start, statistics.end, statistics.days) == (
        format_timestamp(START),
        format_timestamp(START + 3 * DAY),
        2,
    )
    assert round(statistics.time_weighted_return, 12) == -0.01
    assert (statistics.max_drawdown.peak_at, statistics.max_drawdown.trough_at) == (
        *(format_timestamp(START + DAY), format_timestamp(START + 2 * DAY)),
    )
    assert (statistics.turnover, statistics.exposure, statistics.charges) == (2, 1, 3)
    assert (statistics.cagr, statistics.calmar) == (None, None)
    assert statistics.volatility > 0 > statistics.sharpe


def test_period_without_equity_has_no_ratios():
    statistics = require_value(summarize_equity(join_curves(build_point(0, 0), build_point(1, -1)), [], 365))
    assert (statistics.time_weighted_return, statistics.max_drawdown, statistics.turnover) == (
        None,
        None,
        None,
    )
    assert (statistics.exposure, statistics.days, statistics.charges) == (None, 0, 0)


def test_two_years_have_a_growth_rate():
    statistics = require_value(
        summarize_equity(
            join_curves(build_point(0, 100), build_point(365, 80), build_point(731, 121)), [], 365
        )
    )
    assert round(statistics.cagr, 3) == 0.1
    assert round(statistics.calmar, 2) == 0.5


@given(st.lists(st.integers(0, 200_000), max_size=60), st.sampled_from(CurveInterval))
def test_curve_shows_the_last_point_of_each_interval(seconds, interval):
    instants = [str(format_timestamp(START + timedelta(seconds=at))) for at in sorted(seconds)]
    numbers = list(map(str, range(len(instants))))
    slots = {}
    for place, instant in enumerate(instants):
        at = datetime.fromisoformat(instant).timestamp()
        slots[int(at // interval.length.total_seconds())] = place
    thinned = thin_curve(EquityCurve(instants, numbers, numbers), interval)
    assert thinned.equities == thinned.flows == list(map(str, slots.values()))
    assert thinned.instants == [instants[slot] for slot in slots.values()]


def test_curve_of_each_period_has_few_points():
    for period in CurvePeriod:
        if period.length is not None:
            assert period.length / period.interval.length <= 1500
    assert CurvePeriod.ALL.length is None


def test_only_days_common_to_all_symbols_are_compared():
    first, second, third = (date(2026, 1, day) for day in (1, 2, 3))
    closes = {
        "A": {first: Decimal(1), third: Decimal(3), second: Decimal(2)},
        "B": {third: Decimal(30), first: Decimal(10)},
    }
    assert align_closes(closes) == {"A": [1, 3], "B": [10, 30]}
    assert align_closes({}) == {}


def test_next_close_comes_from_the_calendar_or_is_midnight():
    calendar = ReleasedCalendars.load().get_calendar(MarketIdentifier.XNYS)
    friday = datetime(2026, 11, 20, 12, tzinfo=UTC)
    assert get_next_close(calendar, friday) == datetime(2026, 11, 20, 21, tzinfo=UTC)
    assert get_next_close(calendar, friday.replace(hour=21)) == datetime(2026, 11, 23, 21, tzinfo=UTC)
    assert get_next_close(calendar, friday.replace(year=1999)) == datetime(1999, 11, 21, tzinfo=UTC)


def test_day_without_a_calendar_ends_at_midnight_utc():
    at = datetime(2026, 11, 20, 12, tzinfo=UTC)
    assert get_last_close(None, at) == datetime(2026, 11, 20, tzinfo=UTC)
    assert get_next_close(None, at) == datetime(2026, 11, 21, tzinfo=UTC)
    assert get_next_close(None, get_next_close(None, at)) == datetime(2026, 11, 22, tzinfo=UTC)
    assert list_missed_closes(None, None, START) == [START]
    assert list_missed_closes(None, START, START + 2 * DAY) == [START + DAY, START + 2 * DAY]
    assert len(list_missed_closes(None, START, START + 99 * DAY)) == MAX_MISSED_CLOSES


def test_market_day_ends_at_its_close_while_its_sessions_are_known():
    new_york = Calendars.load().get_calendar(MarketIdentifier.XNYS)
    monday = datetime(2026, 11, 23, 12, tzinfo=UTC)
    assert get_last_close(new_york, monday) == datetime(2026, 11, 20, 21, tzinfo=UTC)
    assert get_last_close(new_york, datetime(2099, 1, 1, 5, tzinfo=UTC)) == datetime(2099, 1, 1, tzinfo=UTC)
    friday = datetime(2026, 11, 20, 21, tzinfo=UTC)
    assert list_missed_closes(new_york, friday - 2 * DAY, friday) == [friday - DAY, friday]


def test_amounts_of_a_snapshot_follow_its_key():
    snapshot = Snapshot._make((1, 2, START, "close", *map(Decimal, range(8)), None))
    assert snapshot.amounts == tuple(range(8))
