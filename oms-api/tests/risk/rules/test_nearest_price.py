"""A denial because of a price names the nearest price that passes."""

from decimal import Decimal

import pytest

from app.money import ZERO
from app.risk.rules.evaluation import evaluate_order
from app.risk.rules.values import Prices, TradedInstrument
from tests.risk.check_inputs import build_order, build_risk_input, get_denial

FIVE_PAISE = TradedInstrument(Decimal("0.05"), Decimal(1))


def build_limit_order(side, price, **changes):
    return build_risk_input(
        order=build_order(side=side, type="LIMIT", limit_price=price), instrument=FIVE_PAISE, **changes
    )


@pytest.mark.parametrize(
    ("side", "price", "changes", "code", "nearest"),
    [
        ("BUY", "100.03", {}, "TICK_SIZE", "100.05"),
        ("SELL", "100.02", {}, "TICK_SIZE", "100"),
        ("BUY", "110.02", {"price_collar_percent": "10.01"}, "TICK_SIZE", "110"),
        ("BUY", "120", {}, "PRICE_COLLAR", "110"),
        ("BUY", "120", {"price_collar_percent": "10.03"}, "PRICE_COLLAR", "110"),
        ("SELL", "80", {}, "PRICE_COLLAR", "90"),
        ("SELL", "80", {"price_collar_percent": "9.98"}, "PRICE_COLLAR", "90.05"),
        ("BUY", "105", {"max_price": "102.01"}, "PRICE_RANGE", "102"),
        ("SELL", "98", {"min_price": "99.01"}, "PRICE_RANGE", "99.05"),
        ("SELL", "98", {"min_price": None, "max_price": "97"}, "PRICE_RANGE", "97"),
        ("BUY", "105", {"max_price": None, "price_collar_percent": "2"}, "PRICE_COLLAR", "102"),
    ],
)
def test_nearest_price_of_a_denial_passes(side, price, changes, code, nearest):
    situation = build_limit_order(side, price, **changes)
    denial = get_denial(situation)
    assert (denial.code, denial.nearest_price, denial.largest_passing) == (code, Decimal(nearest), None)
    assert (
        evaluate_order(situation._replace(order=situation.order._replace(limit_price=denial.nearest_price)))
        is None
    )


def test_stops_have_no_collar_and_unknown_instruments_the_finest_tick():
    stop = build_risk_input(order=build_order(type="STOP", stop_price="150.02"), instrument=FIVE_PAISE)
    assert get_denial(stop).nearest_price == 150
    unheard = build_risk_input(
        order=build_order(type="STOP", stop_price="150"), instrument=None, max_price="149.001"
    )
    denial = get_denial(unheard)
    assert (denial.code, denial.nearest_price) == ("UNKNOWN_INSTRUMENT", None)


def test_denial_names_the_largest_quantity_when_no_price_passes():
    denial = get_denial(build_limit_order("BUY", "100.03", max_price="0.01", min_price=None))
    assert (denial.code, denial.nearest_price, denial.largest_passing) == ("TICK_SIZE", None, ZERO)
    wide = Prices(Decimal(50), Decimal(150), Decimal(100))
    denial = get_denial(build_risk_input(prices=wide))
    assert (denial.code, denial.nearest_price, denial.largest_passing) == ("PRICE_COLLAR", None, ZERO)


def test_close_may_be_an_odd_lot():
    lots = TradedInstrument(Decimal("0.05"), Decimal(75))
    odd = build_order(side="SELL", quantity="235")
    assert get_denial(build_risk_input(order=odd, instrument=lots, position=235)).code == "LOT_SIZE"
    assert (
        evaluate_order(build_risk_input(order=odd._replace(is_closing=True), instrument=lots, position=235))
        is None
    )
