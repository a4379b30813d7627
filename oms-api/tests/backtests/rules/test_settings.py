"""Costs, limits and instruments of a backtest are read from words."""

from decimal import Decimal

import pytest

from app.backtests.rules.settings import (
    BacktestSettings,
    CostTerms,
    InstrumentTerms,
    get_default_exchange,
    parse_costs,
    parse_limit,
)
from app.costs.rules.values import Schedule
from app.risk.rules.limits import LimitCode, LimitScope


@pytest.mark.parametrize(
    ("cost_text", "expected"),
    [
        ("none", CostTerms()),
        ("zerodha", CostTerms(Schedule.ZERODHA)),
        ("flat:1.50", CostTerms(flat_fee=Decimal("1.5"))),
        ("percent:0.1", CostTerms(fee_rate=Decimal("0.001"))),
    ],
)
def test_costs_are_a_schedule_or_a_fee(cost_text, expected):
    assert parse_costs(cost_text) == expected


@pytest.mark.parametrize("cost_text", ["", "cheap", "flat:-1", "flat:x", "tenth:1"])
def test_other_costs_are_refused(cost_text):
    with pytest.raises(ValueError, match="not"):
        parse_costs(cost_text)


def test_costs_know_whether_they_are_free():
    assert CostTerms().is_free
    assert not parse_costs("flat:1").is_free


def test_limits_are_rows_of_the_portfolio():
    code, value = parse_limit("MAX_DAILY_LOSS=5000")
    rows = BacktestSettings(limits={code: value}).list_limits()
    assert rows == {(LimitCode.MAX_DAILY_LOSS, LimitScope.PORTFOLIO, "backtest"): Decimal(5000)}
    for limit_text in ("MAX_DAILY_LOSS", "MAX_FUN=1"):
        with pytest.raises(ValueError, match="not"):
            parse_limit(limit_text)


def test_exchange_defines_currency_and_listing():
    settings = BacktestSettings(instruments=InstrumentTerms("NSE", Decimal("0.05"), Decimal(1)))
    instrument = settings.build_instrument("INFY")
    assert (settings.currency, instrument.currency, instrument.is_listed) == ("INR", "INR", True)
    assert (instrument.tick_size, instrument.lot_size) == (Decimal("0.05"), Decimal(1))
    unlisted = BacktestSettings().build_instrument("BTC/USD")
    assert (unlisted.asset_class, unlisted.currency, unlisted.is_listed) == ("crypto", "USD", False)
    assert unlisted.tick_size == unlisted.lot_size == Decimal("0.00000001")
    assert (get_default_exchange(Schedule.ZERODHA), get_default_exchange(Schedule.NONE)) == ("NSE", "")
