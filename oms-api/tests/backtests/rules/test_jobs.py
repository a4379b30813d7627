"""Settings, size and progress of backtests that run as jobs, and stored bars as columns."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from app.backtests.rules.bar_columns import build_columns
from app.backtests.rules.jobs import InvalidSetting, build_settings, compute_progress, count_bars
from app.brokers.rules.settings import Slippage
from app.market_data.rules.bars import Interval
from app.market_data.rules.values import Bar
from app.risk.rules.limits import LimitCode

MONDAY = datetime(2026, 1, 5, tzinfo=UTC)
CASH = Decimal(1000)


def build_job(costs="none", **settings):
    return build_settings(Interval.HOUR, CASH, costs, settings, 3, "trend")


def test_settings_equal_the_arguments_of_the_command():
    job = build_job(
        "zerodha", spread="0.02", slippage="basis_points", basis_points="2", latency_milliseconds="250",
        limits={"MAX_DAILY_LOSS": "5"}, risk=False, sessions=True, product="MIS", tick="0.05",
    )  # fmt: skip
    assert job.instruments.exchange == "NSE"
    assert job.instruments.tick_size == Decimal("0.05")
    assert (job.market.slippage, job.market.latency) == (
        Slippage.BASIS_POINTS,
        timedelta(milliseconds=250),
    )
    assert (job.market.spread, job.limits) == (Decimal("0.02"), {LimitCode.MAX_DAILY_LOSS: Decimal(5)})
    assert (job.has_risk_checks, job.enforces_sessions, job.product) == (False, True, "MIS")
    foreign = build_job(base_currency="inr", currencies={"aapl": "usd"}, rates="USD/INR")
    assert (foreign.currency, foreign.currencies, foreign.rate_symbols) == (
        "INR", {"AAPL": "USD"}, ("USD/INR",),
    )  # fmt: skip
    assert (foreign.build_instrument("AAPL").currency, foreign.build_instrument("MSFT").currency) == (
        "USD",
        "INR",
    )
    assert [rate.percent for rate in build_job(carry_rates={"borrow": "2.5"}).carry_rates] == [Decimal("2.5")]
    assert (build_job().instruments.exchange, build_job().seed, build_job(exchange="NYSE").currency) == (
        "",
        3,
        "USD",
    )


@pytest.mark.parametrize(
    ("settings", "name"),
    [
        ({"costs": "cheap"}, "cost_schedule"),
        ({"spread": "-1"}, "settings.spread"),
        ({"spread": True}, "settings.spread"),
        ({"product": 1}, "settings.product"),
        ({"risk": "yes"}, "settings.risk"),
        ({"slippage": "some"}, "settings.slippage"),
        ({"limits": "5"}, "settings.limits"),
        ({"limits": {"MAX": "5"}}, "settings.limits"),
        ({"carry_rates": "5"}, "settings.carry_rates"),
        ({"carry_rates": {"fee": "5"}}, "settings.carry_rates"),
        ({"base_currency": "RUPEES"}, "settings.base_currency"),
        ({"currencies": "USD"}, "settings.currencies"),
        ({"currencies": {"AAPL": "X"}}, "settings.currencies"),
        ({"rates": "AAPL"}, "settings.rates"),
        ({"unknown": "5"}, "settings.unknown"),
    ],
)
def test_wrong_setting_is_named(settings, name):
    with pytest.raises(InvalidSetting) as caught:
        build_job(**settings)
    assert caught.value.name == name


def test_bars_and_progress_are_computed_from_the_period():
    day = timedelta(days=1)
    assert count_bars(MONDAY, MONDAY + day, Interval.HOUR, 2) == 48
    assert count_bars(MONDAY, MONDAY - day, Interval.HOUR, 2) == 0
    halves = [compute_progress(MONDAY, MONDAY + day, MONDAY + part * day / 2) for part in (-1, 0, 1, 2, 3)]
    assert halves == [0, 0, 500, 1000, 1000]


def build_bar(opened, high, low, close, volume):
    return Bar("A", MONDAY, Decimal(opened), Decimal(high), Decimal(low), Decimal(close), volume)


def test_bars_become_whole_numbers_of_the_last_place():
    bars = [
        build_bar("10.50000000", "11", "10", "10.125", None),
        build_bar("10", "1E+2", "9", "10", Decimal("1.5")),
    ]
    columns = build_columns("A", 60, bars)
    assert (columns.places, columns.volume_places, list(columns.volumes)) == (3, 1, [-1, 15])
    assert (list(columns.opens), list(columns.highs)) == ([10500, 10000], [11000, 100000])
    assert build_columns("A", 60, []).places == 0
