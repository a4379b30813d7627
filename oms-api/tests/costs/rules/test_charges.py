"""Charges of fills: the worked examples of each schedule, and properties of all schedules."""

from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.costs.errors import RateUnknown
from app.costs.rules.charges import compute_dp_charge, compute_fill_charges, get_rates
from app.costs.rules.values import ChargedExecution, Charges, ChargeTotals, OrderTerms, OrderTotals, Schedule
from app.costs.service import load_rates
from app.money import ZERO

TABLE = load_rates()
NOVEMBER = date(2026, 11, 20)


def build_terms(
    schedule="zerodha", exchange="NSE", side="BUY", product=None, on=NOVEMBER, is_square_off=False
):
    return OrderTerms(Schedule(schedule), exchange, side, on, product, is_square_off)


def charge_us_order(side="SELL", schedule="us_equity", on=NOVEMBER):
    return build_terms(schedule, "NASDAQ", side, on=on)


def build_executions(price, *quantities):
    return [ChargedExecution.from_price(Decimal(quantity), Decimal(price)) for quantity in quantities]


def charge_fills(order, fills, totals=None):
    """Return the charges of each fill of one order, and the totals after the last."""
    totals, charge_list = totals or ChargeTotals(), []
    for execution in fills:
        charges, totals = compute_fill_charges(order, totals, execution, TABLE)
        charge_list.append(charges)
    return charge_list, totals


def compute_charges(order, price, quantity):
    return charge_fills(order, build_executions(price, quantity))[0][0]


def compute_totals(order, price, *quantities):
    return [str(charge.total) for charge in charge_fills(order, build_executions(price, *quantities))[0]]


def round_trip(product, buy, sell, quantity, exchange="NSE"):
    bought = compute_charges(build_terms(side="BUY", product=product, exchange=exchange), buy, quantity)
    return bought + compute_charges(
        build_terms(side="SELL", product=product, exchange=exchange), sell, quantity
    )


def test_zerodha_intraday_buy_and_sell():
    charges = round_trip("MIS", 1000, 1100, 400)
    assert charges == Charges(
        brokerage=Decimal(40),
        stt=Decimal(110),
        exchange=Decimal("25.79"),
        sebi=Decimal("0.84"),
        gst=Decimal("11.99"),
        stamp_duty=Decimal(12),
    )
    assert charges.total == Decimal("200.62")


def test_zerodha_delivery_buy_and_sell_with_separate_depository_charge():
    charges = round_trip("CNC", 1000, 1100, 400)
    assert charges.total == Decimal("931.42")
    assert charges.brokerage == 0
    dp_charge = compute_dp_charge(build_terms(side="SELL", product="CNC"), TABLE)
    assert charges.total + dp_charge == Decimal("946.76")


def test_stt_is_rounded_half_up_to_the_rupee():
    assert compute_charges(build_terms(side="SELL", product="CNC"), 1005, 100).stt == 101  # 100.50
    assert compute_charges(build_terms(side="SELL", product="CNC"), "1004.90", 100).stt == 100  # 100.49
    assert round_trip("CNC", 1000, 1005, 100).total == Decimal("223.50")


def test_stamp_duty_is_rounded_to_the_rupee():
    assert compute_charges(build_terms(side="BUY", product="CNC"), 100, 100).stamp_duty == 2  # 1.50
    assert compute_charges(build_terms(side="BUY", product="CNC"), 99, 100).stamp_duty == 1  # 1.485


def test_gst_is_computed_on_rounded_components():
    order = build_terms(side="SELL", product="MIS")
    assert compute_totals(order, 1100, 40, 160, 200) == ["28.22", "58.60", "63.24"]
    # From unrounded components the second and third would be 58.61 and 63.23.
    assert [str(charge.gst) for charge in charge_fills(order, build_executions(1100, 40, 160, 200))[0]] == [
        "2.63",
        "2.22",
        "1.26",
    ]


def test_brokerage_cap_applies_once_per_order():
    order = build_terms(side="BUY", product="MIS")
    assert [charge.brokerage for charge in charge_fills(order, build_executions(1000, 40, 40, 400))[0]] == [
        12,
        8,
        0,
    ]


def test_bse_has_its_own_exchange_charge():
    assert compute_charges(build_terms(exchange="BSE", product="CNC"), 1000, 400).exchange == Decimal("15.00")


@pytest.mark.parametrize(
    ("on", "exchange"),
    [
        (date(2023, 3, 31), "34.50"),
        (date(2023, 4, 1), "33.50"),
        (date(2024, 3, 31), "33.50"),
        (date(2024, 4, 1), "33.20"),
        (date(2024, 9, 30), "33.20"),
        (date(2024, 10, 1), "30.70"),
    ],
)
def test_nse_exchange_charge_is_the_rate_of_the_day(on, exchange):
    assert compute_charges(build_terms(on=on, product="CNC"), 1000, 1000).exchange == Decimal(exchange)


def test_square_off_costs_50_plus_gst_per_child_order_at_its_first_fill():
    order = build_terms(side="SELL", product="MIS", is_square_off=True)
    charges = charge_fills(order, build_executions(1, 10_000, 20_000, 1, 5_000))[0]
    assert [charge.square_off for charge in charges] == [50, 0, 50, 0]
    assert charges[0].gst == Decimal("9.60")  # 18% of 50 + 3.00 + 0.31 + 0.01
    assert compute_charges(build_terms(side="SELL", product="MIS"), 1, 10_000).square_off == 0


def test_order_without_a_product_is_charged_as_delivery():
    assert compute_charges(build_terms(product=None), 1000, 400) == compute_charges(
        build_terms(product="CNC"), 1000, 400
    )


@pytest.mark.parametrize(
    ("order", "dp_charge"),
    [
        (build_terms(side="SELL", product="CNC"), "15.34"),
        (build_terms(side="SELL"), "15.34"),
        (build_terms(side="BUY", product="CNC"), "0"),
        (build_terms(side="SELL", product="MIS"), "0"),
        (charge_us_order(), "0"),
        (build_terms(exchange="NASDAQ", side="SELL"), "0"),
    ],
)
def test_depository_charge_applies_to_delivery_sales(order, dp_charge):
    assert compute_dp_charge(order, TABLE) == Decimal(dp_charge)


def test_each_us_fee_of_a_day_is_rounded_up_to_the_cent_over_its_fills():
    assert compute_totals(charge_us_order(), 100, 3, 3, 4) == ["0.02", "0.01", "0.01"]


def test_us_fees_accumulate_over_the_orders_of_a_day():
    totals, charge_list = ChargeTotals(), []
    for quantity in (3, 3, 4):
        charges, totals = charge_fills(
            charge_us_order(), build_executions(100, quantity), totals._replace(order=OrderTotals())
        )
        charge_list.append(str(charges[0].regulatory))
    assert charge_list == ["0.02", "0.01", "0.01"]


def test_us_purchase_pays_only_the_cat_fee_which_counts_for_the_day():
    charges, totals = charge_fills(charge_us_order("BUY"), build_executions(100, 3000))
    assert charges[0] == Charges(regulatory=Decimal("0.01"))
    later, _ = charge_fills(charge_us_order("SELL"), build_executions(100, 3), totals)
    assert later[0].regulatory == Decimal("0.01")  # SEC; the cent of CAT covers 3,333 shares


@pytest.mark.parametrize(
    ("on", "fees"),
    [
        (date(2025, 5, 13), "29.46"),  # SEC 27.80, TAF 1.66
        (date(2025, 5, 14), "1.66"),
        (date(2025, 12, 31), "1.66"),
        (date(2026, 1, 1), "1.95"),
        (date(2026, 4, 3), "1.95"),
        (date(2026, 4, 4), "22.55"),  # SEC 20.60
        (date(2026, 5, 1), "22.58"),  # CAT 0.03
        (date(2026, 9, 30), "22.58"),
        (date(2026, 10, 1), "20.63"),  # no TAF
        (date(2026, 12, 31), "20.63"),
        (date(2027, 1, 1), "22.57"),  # CAT 0.02
    ],
)
def test_us_fees_use_the_rates_of_the_day(on, fees):
    assert compute_charges(charge_us_order(on=on), 100, 10_000).total == Decimal(fees)


def test_trading_activity_fee_is_capped_per_execution():
    on = date(2026, 1, 2)  # no SEC fee, no CAT
    assert compute_charges(charge_us_order(on=on), 1, 1_000_000).total == Decimal("9.79")
    assert sum(map(Decimal, compute_totals(charge_us_order(on=on), 1, 1_000_000, 1_000_000))) == Decimal(
        "19.58"
    )


@pytest.mark.parametrize(
    ("price", "quantity", "commission"),
    [("25", 100, "1.00"), ("25", 1000, "5.00"), ("0.25", 1000, "2.50"), ("0.25", 10, "0.03")],
)
def test_ibkr_commission_is_per_share_with_bounds(price, quantity, commission):
    assert compute_charges(charge_us_order("BUY", "ibkr_fixed"), price, quantity).commission == Decimal(
        commission
    )


def test_ibkr_minimum_applies_once_per_order():
    charges = charge_fills(charge_us_order("BUY", "ibkr_fixed"), build_executions(25, 100, 300, 600))[0]
    assert [charge.commission for charge in charges] == [1, 1, 3]


def test_ibkr_charges_the_us_fees_too():
    charges = compute_charges(charge_us_order("SELL", "ibkr_fixed"), 100, 3)
    assert charges == Charges(commission=Decimal("1.00"), regulatory=Decimal("0.02"))
    assert charges.list_components(Schedule.IBKR_FIXED) == {
        "commission": Decimal("1.00"),
        "regulatory": Decimal("0.02"),
    }


@pytest.mark.parametrize(
    "order",
    [
        build_terms("none"),
        build_terms("zerodha", "NASDAQ"),
        build_terms("us_equity", "NSE"),
        build_terms("ibkr_fixed", "BSE"),
        build_terms("zerodha", "nowhere"),
        build_terms("zerodha", product="NRML"),
    ],
)
def test_missing_schedule_or_uncovered_market_charges_nothing(order):
    charges, totals = charge_fills(order, build_executions(1000, 400))
    assert charges == [Charges()]
    assert charges[0].total == 0
    assert totals.day == ChargeTotals().day


def test_charges_before_the_first_rate_date_are_rejected():
    with pytest.raises(RateUnknown) as caught:
        get_rates(charge_us_order(on=date(2024, 12, 31)), TABLE)
    assert caught.value.errors[0].field == "date"
    assert "Use 2025-01-01 or a later date." in caught.value.detail


ORDERS = st.sampled_from([
    build_terms(schedule, exchange, side, product, is_square_off=is_square_off)
    for schedule, exchange in (
        ("none", "NSE"),
        ("zerodha", "NSE"),
        ("zerodha", "BSE"),
        ("us_equity", "NYSE"),
        ("ibkr_fixed", "NYSE"),
        ("zerodha", "NYSE"),
    )
    for side in ("BUY", "SELL")
    for product in ("CNC", "MIS")
    for is_square_off in (False, True)
])  # fmt: skip
PRICES = st.decimals("0.01", "50000", places=2)
QUANTITIES = st.lists(st.decimals("0.001", "40000", places=3), min_size=1, max_size=8)


@given(ORDERS, PRICES, QUANTITIES)
def test_fills_of_any_split_add_up_to_the_charge_of_the_order(order, price, quantities):
    """TAF is 0 on this day; while it is not, its cap per execution makes the split matter."""
    split, _ = charge_fills(order, build_executions(price, *quantities))
    assert sum(split, Charges()) == compute_charges(order, price, sum(quantities))


FILLS = st.lists(
    st.builds(ChargedExecution.from_price, st.decimals("0.001", "40000", places=3), PRICES),
    min_size=1,
    max_size=8,
)
DAYS = st.dates(date(2025, 1, 1), date(2027, 12, 31))


@given(ORDERS, DAYS, FILLS)
def test_no_fill_has_a_negative_charge(order, on, fills):
    charges, _ = charge_fills(order._replace(on=on), fills)
    for charge in charges:
        assert min(charge.list_components(order.schedule).values(), default=ZERO) >= 0
        assert charge.total == sum(charge.list_components(order.schedule).values(), ZERO)


@given(FILLS)
def test_caps_and_minimums_apply_to_the_whole_order(fills):
    value, quantity = sum(fill.value for fill in fills), sum(fill.quantity for fill in fills)
    intraday = sum(charge_fills(build_terms(side="BUY", product="MIS"), fills)[0], Charges())
    assert intraday.brokerage <= 20
    assert abs(intraday.brokerage - min(value * Decimal("0.0003"), Decimal(20))) <= Decimal("0.005")
    ibkr = sum(charge_fills(charge_us_order("BUY", "ibkr_fixed"), fills)[0], Charges())
    expected = min(max(quantity * Decimal("0.005"), Decimal(1)), value * Decimal("0.01"))
    assert abs(ibkr.commission - expected) <= Decimal("0.005")


@given(ORDERS, DAYS, FILLS)
def test_charges_are_multiples_of_their_rounding_step(order, on, fills):
    for charge in charge_fills(order._replace(on=on), fills)[0]:
        assert charge.total == charge.total.quantize(Decimal("0.01"))
        assert charge.stt == charge.stt.to_integral_value()
        assert charge.stamp_duty == charge.stamp_duty.to_integral_value()
