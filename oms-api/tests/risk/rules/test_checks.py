"""Each check: denied orders, passing orders, and the numbers of a denial."""

from decimal import Decimal

import pytest

from app.money import ZERO
from app.risk.rules.checks.trail import find_denial as check_trail
from app.risk.rules.evaluation import evaluate_exit, evaluate_order
from app.risk.rules.latches import Latch, LatchScope, LatchSubject
from app.risk.rules.values import Permission, Prices, SymbolExposure, TradedInstrument, TradingState
from app.timestamps import Timestamp
from tests.risk.check_inputs import (
    build_order,
    build_position,
    build_risk_input,
    build_working_order,
    get_denial,
)

PASSES = None
STOP = {"type": "STOP", "side": "SELL", "stop_price": "90"}


def get_code_and_quantity(situation):
    """Return the code of the denial and the largest quantity that would pass, 0 where a price is at fault."""
    denial = evaluate_order(situation)
    return denial and (denial.code, f"{(denial.largest_passing or ZERO).normalize():f}")


def test_order_within_all_limits_passes():
    assert evaluate_order(build_risk_input()) is PASSES


@pytest.mark.parametrize(
    ("state", "side", "position", "quantity", "orders", "denial"),
    [
        (TradingState.HALTED, "SELL", 100, "1", (), ("HALTED", "0")),
        (TradingState.REDUCING, "BUY", 100, "1", (), ("REDUCING", "0")),
        (TradingState.REDUCING, "SELL", 100, "100", (), PASSES),
        (TradingState.REDUCING, "SELL", 100, "101", (), ("REDUCING", "100")),
        (TradingState.REDUCING, "BUY", -100, "100", (), PASSES),
        (TradingState.REDUCING, "BUY", -100, "150", (), ("REDUCING", "100")),
        (TradingState.REDUCING, "SELL", 0, "1", (), ("REDUCING", "0")),
        # Other orders of the same side hold a part of the position already.
        (TradingState.REDUCING, "SELL", 100, "60", [build_working_order("SELL", "40", "120")], PASSES),
        (
            TradingState.REDUCING,
            "SELL",
            100,
            "61",
            [build_working_order("SELL", "40", "120")],
            ("REDUCING", "60"),
        ),
        (TradingState.REDUCING, "SELL", 100, "100", [build_working_order("BUY", "40", "80")], PASSES),
    ],
)
def test_kill_switch_denies_orders(state, side, position, quantity, orders, denial):
    candidate = build_order(side=side, quantity=quantity)
    assert (
        get_code_and_quantity(
            build_risk_input(order=candidate, position=position, orders=orders, state=state)
        )
        == denial
    )


@pytest.mark.parametrize(
    ("issues", "side", "quantity", "denial"),
    [
        (0, "BUY", "1", PASSES),
        (1, "BUY", "1", ("RECONCILIATION_BREAK", "0")),
        (2, "SELL", "100", PASSES),
        (2, "SELL", "101", ("RECONCILIATION_BREAK", "100")),
    ],
)
def test_critical_issues_with_the_broker_stop_openings(issues, side, quantity, denial):
    candidate = build_order(side=side, quantity=quantity)
    assert (
        get_code_and_quantity(build_risk_input(order=candidate, position=100, critical_issues=issues))
        == denial
    )


def test_halt_denial_names_its_scope():
    denial = get_denial(build_risk_input(state=TradingState.HALTED, state_scope="strategy"))
    assert denial.message == "Trading is halted for this strategy."


@pytest.mark.parametrize(
    ("permission", "denial"),
    [
        (Permission(), PASSES),
        (Permission(frozenset({"AAPL"}), frozenset({"BUY"}), frozenset({"NONE"})), PASSES),
        (Permission(symbols=frozenset({"MSFT"})), ("NOT_PERMITTED", "0")),
        (Permission(sides=frozenset({"SELL"})), ("NOT_PERMITTED", "0")),
        (Permission(products=frozenset({"CNC"})), ("NOT_PERMITTED", "0")),
    ],
)
def test_permission_lists_deny_unlisted_orders(permission, denial):
    assert get_code_and_quantity(build_risk_input(permission=permission)) == denial


def test_permission_denial_lists_permitted_actions():
    denial = get_denial(build_risk_input(permission=Permission(symbols=frozenset({"MSFT", "IBM"}))))
    assert (denial.limit, denial.asked) == ("IBM,MSFT", "AAPL")
    assert denial.message == "You may not trade this symbol: AAPL."


def test_latch_denial_contains_its_numbers():
    holder = LatchSubject(LatchScope.STRATEGY, "momentum", "AAPL")
    denial = get_denial(
        build_risk_input(latch=Latch("L1", holder, 7, 5, Timestamp("2026-11-20T12:00:00.000000Z")))
    )
    assert denial.code == "REPEATED_EXECUTION"
    assert denial.limit == Decimal(5)
    assert denial.asked == Decimal(7)
    assert denial.largest_passing == Decimal(0)
    assert denial.message == (
        "The strategy 'momentum' executed 7 orders in AAPL within a minute; the limit is 5, and a person "
        "must release latch L1."
    )


@pytest.mark.parametrize(
    ("instrument", "code"),
    [
        (None, "UNKNOWN_INSTRUMENT"),
        (TradedInstrument(Decimal("0.01"), Decimal(1), is_tradable=False), "NOT_TRADABLE"),
        (TradedInstrument(Decimal("0.01"), Decimal(1), is_restricted=True), "RESTRICTED"),
    ],
)
def test_unknown_restricted_and_untradable_instruments_are_denied(instrument, code):
    assert get_code_and_quantity(build_risk_input(instrument=instrument)) == (code, "0")


@pytest.mark.parametrize(
    ("asked", "denial"),
    [
        (build_order(type="LIMIT", limit_price="100.05"), PASSES),
        (build_order(type="LIMIT", limit_price="100.051"), ("TICK_SIZE", "0")),
        (build_order(**STOP, quantity="1"), PASSES),
        (build_order(**(STOP | {"stop_price": "90.005"}), quantity="1"), ("TICK_SIZE", "0")),
        (build_order(quantity="10.5"), ("LOT_SIZE", "10")),
        (build_order(quantity="0"), ("LOT_SIZE", "0")),
    ],
)
def test_price_off_tick_and_quantity_off_lot_are_denied(asked, denial):
    assert get_code_and_quantity(build_risk_input(order=asked)) == denial


def test_closed_session_denies_orders_that_do_not_wait():
    opens_at = "2026-11-23T14:30:00.000000Z"
    denial = get_denial(
        build_risk_input(session_denial_reason="The market opens on Monday.", closed_until=opens_at)
    )
    assert (denial.code, denial.message, denial.limit) == (
        "SESSION_CLOSED",
        "The market opens on Monday.",
        opens_at,
    )


def test_live_portfolio_requires_limits():
    denial = get_denial(build_risk_input(missing=("MAX_ORDER_VALUE", "MAX_DRAWDOWN")))
    assert (denial.code, denial.asked) == ("LIMIT_MISSING", "MAX_ORDER_VALUE, MAX_DRAWDOWN")


def test_order_quantity_limit_denies_larger_orders():
    assert (
        get_code_and_quantity(build_risk_input(order=build_order(quantity="50"), max_order_quantity="50"))
        is PASSES
    )
    assert get_code_and_quantity(
        build_risk_input(order=build_order(quantity="51"), max_order_quantity="50")
    ) == ("MAX_ORDER_QUANTITY", "50")


def test_order_quantity_limit_counts_fills_of_the_replaced_order():
    candidate = build_order(quantity="20", filled_quantity="30")
    assert get_code_and_quantity(build_risk_input(order=candidate, max_order_quantity="50")) is PASSES
    assert get_code_and_quantity(build_risk_input(order=candidate, max_order_quantity="49")) == (
        "MAX_ORDER_QUANTITY",
        "19",
    )
    assert (
        get_code_and_quantity(build_risk_input(order=candidate, max_order_value="5050")) is PASSES
    )  # 50 at the ask of 101
    assert get_code_and_quantity(build_risk_input(order=candidate, max_order_value="5049")) == (
        "MAX_ORDER_VALUE",
        "19",
    )


@pytest.mark.parametrize(
    ("side", "quantity", "position", "denial"),
    [
        ("BUY", "0.00000001", "0", ("VALUE_TOO_SMALL", "0")),
        ("SELL", "0.00000001", "0", ("VALUE_TOO_SMALL", "0")),
        ("SELL", "0.00000002", "0.00000001", ("VALUE_TOO_SMALL", "0.00000001")),
        ("SELL", "0.00000001", "0.00000001", PASSES),
        ("BUY", "0.00000001", "-0.00000001", PASSES),
        ("BUY", "0.00000001", "1", ("VALUE_TOO_SMALL", "0")),
        ("BUY", "0.0000001", "0", PASSES),
    ],
)
def test_order_whose_value_rounds_to_zero_is_denied(side, quantity, position, denial):
    candidate = build_order(side=side, quantity=quantity, type="LIMIT", limit_price="0.1")
    coin = TradedInstrument(Decimal("0.00000001"), Decimal("0.00000001"))
    prices = Prices(Decimal("0.1"), Decimal("0.1"), Decimal("0.1"))
    assert (
        get_code_and_quantity(
            build_risk_input(order=candidate, position=position, instrument=coin, prices=prices)
        )
        == denial
    )


def test_order_value_limit_denies_larger_orders():
    limited = {"max_order_value": "1010"}
    assert get_code_and_quantity(build_risk_input(**limited)) is PASSES  # 10 at the ask of 101
    assert get_code_and_quantity(build_risk_input(order=build_order(quantity="11"), **limited)) == (
        "MAX_ORDER_VALUE",
        "10",
    )
    assert (
        get_code_and_quantity(
            build_risk_input(order=build_order(quantity="11", type="LIMIT", limit_price="90"), **limited)
        )
        is PASSES
    )


@pytest.mark.parametrize("price", ["0.004", "1000.01"])
def test_price_outside_the_price_range_is_denied(price):
    fine = TradedInstrument(Decimal("0.001"), Decimal(1))
    candidate = build_order(type="LIMIT", limit_price=price)
    code_and_quantity = get_code_and_quantity(
        build_risk_input(order=candidate, instrument=fine, min_price="0.005", max_price="1000")
    )
    assert code_and_quantity == ("PRICE_RANGE", "0")


def test_price_range_is_unlimited_without_a_limit():
    candidate = build_order(**(STOP | {"stop_price": "5000000"}), quantity="1")
    assert (
        get_code_and_quantity(build_risk_input(order=candidate, min_price=None, max_price=None, position=10))
        is PASSES
    )


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        (build_order(type="LIMIT", limit_price="110"), PASSES),
        (build_order(type="LIMIT", limit_price="110.01"), "PRICE_COLLAR"),
        (build_order(type="LIMIT", limit_price="20"), PASSES),  # passive
        (build_order(side="SELL", type="LIMIT", limit_price="90"), PASSES),
        (build_order(side="SELL", type="LIMIT", limit_price="89.99"), "PRICE_COLLAR"),
        (build_order(side="SELL", type="LIMIT", limit_price="500"), PASSES),  # passive
        (build_order(type="STOP", stop_price="150"), PASSES),  # stops are free
        (build_order(type="STOP_LIMIT", stop_price="150", limit_price="170"), PASSES),
    ],
)
def test_price_collar_applies_only_to_the_aggressive_side(asked, code):
    code_and_quantity = get_code_and_quantity(build_risk_input(order=asked))
    assert (code_and_quantity and code_and_quantity[0]) == code


def test_price_collar_denial_names_its_bound():
    denial = get_denial(build_risk_input(order=build_order(type="LIMIT", limit_price="120")))
    assert (denial.limit, denial.asked) == (Decimal(110), Decimal(120))


def test_wide_spread_exceeds_the_price_collar():
    assert (
        get_code_and_quantity(build_risk_input(prices=Prices(Decimal(50), Decimal(150), Decimal(100))))[0]
        == "PRICE_COLLAR"
    )


def test_price_collar_can_be_disabled():
    candidate = build_order(type="LIMIT", limit_price="500")
    assert get_code_and_quantity(build_risk_input(order=candidate, price_collar_percent=None)) is PASSES


@pytest.mark.parametrize("kind", ["MARKET", "LIMIT", "TRAILING_STOP"])
def test_order_that_needs_a_reference_price_is_denied_without_one(kind):
    candidate = build_order(type=kind, **({"limit_price": "100"} if kind == "LIMIT" else {}))
    assert get_code_and_quantity(build_risk_input(order=candidate, prices=Prices())) == (
        "NO_REFERENCE_PRICE",
        "0",
    )


def test_stop_order_needs_no_reference_price():
    candidate = build_order(type="STOP", stop_price="100")
    assert get_code_and_quantity(build_risk_input(order=candidate, prices=Prices())) is PASSES


@pytest.mark.parametrize(
    ("side", "position", "quantity", "orders", "denial"),
    [
        ("BUY", 0, "99", (), PASSES),
        ("BUY", 0, "100", (), ("MAX_POSITION_VALUE", "99")),
        ("BUY", 50, "50", (), ("MAX_POSITION_VALUE", "49")),
        ("BUY", 0, "60", [build_working_order("BUY", "50", "80")], ("MAX_POSITION_VALUE", "59")),
        ("BUY", 0, "99", [build_working_order("SELL", "50", "120")], PASSES),
        ("SELL", 0, "101", (), PASSES),
        ("SELL", 0, "102", (), ("MAX_POSITION_VALUE", "101")),
        ("SELL", -50, "60", (), ("MAX_POSITION_VALUE", "50")),
        # A position that is too large already may always be reduced.
        ("SELL", 5000, "5000", (), PASSES),
        ("BUY", -5000, "4000", (), PASSES),
    ],
)
def test_position_limit_counts_working_orders(side, position, quantity, orders, denial):
    candidate = build_order(side=side, quantity=quantity)
    situation = build_risk_input(
        order=candidate, position=position, orders=orders, max_position_value="10000"
    )
    assert get_code_and_quantity(situation) == denial


@pytest.mark.parametrize(
    ("side", "position", "quantity", "other_exposure", "denial"),
    [
        ("BUY", 0, "50", [build_position("50", "99")], PASSES),
        ("BUY", 0, "51", [build_position("50", "99")], ("MAX_GROSS_EXPOSURE", "50")),
        ("BUY", 0, "51", [build_position("-50", "99")], ("MAX_GROSS_EXPOSURE", "50")),
        ("SELL", 20, "20", [build_position("500", "99")], PASSES),
        ("SELL", 20, "200", [build_position("80", "100")], ("MAX_GROSS_EXPOSURE", "40")),
    ],
)
def test_gross_exposure_limit_denies_larger_exposure(side, position, quantity, other_exposure, denial):
    candidate = build_order(side=side, quantity=quantity)
    situation = build_risk_input(
        order=candidate, position=position, other_exposure=other_exposure, max_gross_exposure="10000"
    )
    assert get_code_and_quantity(situation) == denial


@pytest.mark.parametrize(
    ("side", "position", "quantity", "other_exposure", "denial"),
    [
        ("BUY", 0, "100", [build_position("-100", "100")], PASSES),
        ("BUY", 0, "100", (), ("MAX_NET_EXPOSURE", "49")),
        ("BUY", 20, "40", [build_position("10", "100")], ("MAX_NET_EXPOSURE", "19")),
        ("SELL", 0, "60", (), ("MAX_NET_EXPOSURE", "50")),
        ("SELL", 0, "60", [build_position("20", "100")], PASSES),
    ],
)
def test_net_exposure_limit_denies_larger_exposure(side, position, quantity, other_exposure, denial):
    candidate = build_order(side=side, quantity=quantity)
    situation = build_risk_input(
        order=candidate, position=position, other_exposure=other_exposure, max_net_exposure="5000"
    )
    assert get_code_and_quantity(situation) == denial


@pytest.mark.parametrize(
    ("limit", "side", "code"),
    [
        ("firm_gross_exposure", "BUY", "FIRM_GROSS_EXPOSURE"),
        ("firm_net_exposure", "BUY", "FIRM_NET_EXPOSURE"),
        ("firm_net_exposure", "SELL", PASSES),
    ],
)
def test_firm_exposure_limit_always_applies(limit, side, code):
    limits = {limit: "10000", "max_gross_exposure": "1000000", "max_net_exposure": "1000000"}
    code_and_quantity = get_code_and_quantity(
        build_risk_input(order=build_order(side=side), firm=[build_position("99", "100")], **limits)
    )
    assert (code_and_quantity and code_and_quantity[0]) == code
    assert get_code_and_quantity(build_risk_input(order=build_order(side=side), **limits)) is PASSES


@pytest.mark.parametrize(
    ("asked", "position", "orders", "short_selling", "denial"),
    [
        (build_order(side="SELL"), 0, (), True, PASSES),
        (build_order(side="SELL"), 0, (), False, ("SHORT_SELLING", "0")),
        (build_order(side="SELL"), 10, (), False, PASSES),
        (
            build_order(side="SELL"),
            12,
            [build_working_order("SELL", "5", "120")],
            False,
            ("SHORT_SELLING", "7"),
        ),
        (build_order(side="SELL", product="CNC"), 4, (), True, ("SHORT_SELLING", "4")),
        (build_order(product="CNC"), 0, (), False, PASSES),
    ],
)
def test_short_sale_is_denied_when_forbidden(asked, position, orders, short_selling, denial):
    situation = build_risk_input(order=asked, position=position, orders=orders, short_selling=short_selling)
    assert get_code_and_quantity(situation) == denial


@pytest.mark.parametrize(
    ("asked", "denial"),
    [
        ({"cash": 1010}, PASSES),  # 10 at the ask of 101
        ({"cash": 1009}, ("BUYING_POWER", "9")),
        ({"cash": 0}, ("BUYING_POWER", "0")),
        ({"cash": 1900, "orders": [build_working_order("BUY", "10", "90")]}, ("BUYING_POWER", "9")),
        ({"cash": 1910, "orders": [build_working_order("BUY", "10", "90")]}, PASSES),
        # A short of 1000 holds 1500: its proceeds, and half of it again.
        ({"cash": 2510, "other_exposure": [build_position("-10", "100")]}, PASSES),
        ({"cash": 2509, "other_exposure": [build_position("-10", "100")]}, ("BUYING_POWER", "9")),
        # A short sale reserves half of its value until it is filled.
        ({"cash": 495, "order": build_order(side="SELL")}, PASSES),
        ({"cash": 494, "order": build_order(side="SELL")}, ("BUYING_POWER", "9")),
        ({"cash": 0, "order": build_order(side="SELL"), "position": 10}, PASSES),
        ({"cash": 99, "order": build_order(side="SELL"), "position": 8}, PASSES),
        ({"cash": 98, "order": build_order(side="SELL"), "position": 8}, ("BUYING_POWER", "9")),
        # Closing a short needs nothing, opening beyond it does.
        ({"cash": 0, "position": -10}, PASSES),
        ({"cash": 0, "position": -9}, ("BUYING_POWER", "9")),
    ],
)
def test_order_above_buying_power_is_denied(asked, denial):
    assert get_code_and_quantity(build_risk_input(**asked)) == denial


def test_mutually_exclusive_orders_count_once():
    pair_orders = [
        build_working_order("BUY", "10", "90", oco_group_id="G1"),
        build_working_order("BUY", "10", "95", oco_group_id="G1"),
    ]
    assert get_code_and_quantity(build_risk_input(cash=1960, orders=pair_orders)) is PASSES  # 950 and 1010
    assert get_code_and_quantity(build_risk_input(cash=1959, orders=pair_orders)) == ("BUYING_POWER", "9")
    third = build_order(oco_group_id="G1")
    assert get_code_and_quantity(build_risk_input(cash=1010, orders=pair_orders, order=third)) is PASSES


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"is_person": True, "same_order_seconds": Decimal(3)}, "REPEAT_ORDER"),
        ({"is_person": True, "same_order_seconds": Decimal(3), "confirm_repeat": True}, PASSES),
        ({"is_person": True, "same_order_seconds": Decimal(10)}, PASSES),
        ({"is_person": True}, PASSES),
        ({"same_order_seconds": Decimal(3)}, PASSES),
    ],
)
def test_repeated_order_of_a_user_is_denied_until_confirmed(changes, code):
    code_and_quantity = get_code_and_quantity(build_risk_input(**changes))
    assert (code_and_quantity and code_and_quantity[0]) == code


def test_open_order_limit_denies_further_orders():
    working_orders = [build_working_order("BUY", "1", "90"), build_working_order("SELL", "1", "120")]
    assert get_code_and_quantity(build_risk_input(orders=working_orders, max_open_orders="3")) is PASSES
    assert get_code_and_quantity(build_risk_input(orders=working_orders, max_open_orders="2")) == (
        "MAX_OPEN_ORDERS",
        "0",
    )
    assert (
        get_code_and_quantity(
            build_risk_input(other_exposure=[SymbolExposure(orders=9_997)], orders=working_orders)
        )
        is PASSES
    )
    assert get_code_and_quantity(
        build_risk_input(other_exposure=[SymbolExposure(orders=9_998)], orders=working_orders)
    ) == ("MAX_OPEN_ORDERS", "0")
    assert (
        get_code_and_quantity(
            build_risk_input(
                other_exposure=[SymbolExposure(orders=9_998)], orders=working_orders, max_open_orders="20000"
            )
        )
        is not PASSES
    )
    other = [build_position("0", "1")._replace(orders=7)]
    assert (
        get_code_and_quantity(build_risk_input(orders=working_orders, firm=other, firm_open_orders="10"))
        is PASSES
    )
    assert get_code_and_quantity(
        build_risk_input(orders=working_orders, firm=other, firm_open_orders="9")
    ) == (
        "FIRM_OPEN_ORDERS",
        "0",
    )


@pytest.mark.parametrize(
    ("changes", "denial"),
    [
        ({"max_daily_loss": "500", "pnl_of_day": Decimal(-499)}, PASSES),
        ({"max_daily_loss": "500", "pnl_of_day": Decimal(-500)}, ("MAX_DAILY_LOSS", "0")),
        ({"max_daily_loss": "500"}, PASSES),
        ({"pnl_of_day": Decimal(-5000)}, PASSES),
        ({"max_drawdown": "500", "drawdown": Decimal(500)}, ("MAX_DRAWDOWN", "0")),
        ({"firm_daily_loss": "500", "firm_pnl_of_day": Decimal(-900)}, ("FIRM_DAILY_LOSS", "0")),
        (
            {
                "max_daily_loss": "500",
                "pnl_of_day": Decimal(-900),
                "position": 7,
                "order": build_order(side="SELL"),
            },
            ("MAX_DAILY_LOSS", "7"),
        ),
    ],
)
def test_loss_limit_allows_only_reducing_orders(changes, denial):
    assert get_code_and_quantity(build_risk_input(**changes)) == denial


@pytest.mark.parametrize(
    ("asked", "orders", "code"),
    [
        (build_order(), [build_working_order("SELL", "5", "101")], "SELF_MATCH"),
        (build_order(), [build_working_order("SELL", "5", "101.01")], PASSES),
        (
            build_order(type="LIMIT", limit_price="105"),
            [build_working_order("SELL", "5", "104")],
            "SELF_MATCH",
        ),
        (build_order(type="LIMIT", limit_price="95"), [build_working_order("SELL", "5", "104")], PASSES),
        (build_order(side="SELL"), [build_working_order("BUY", "5", "99")], "SELF_MATCH"),
        (build_order(side="SELL"), [build_working_order("BUY", "5", "98.99")], PASSES),
        (build_order(), [build_working_order("BUY", "5", "101")], PASSES),
        # Untriggered stops are in no book, on either side.
        (build_order(type="STOP", stop_price="120"), [build_working_order("SELL", "5", "101")], PASSES),
        (
            build_order(),
            [build_working_order("SELL", "5", "100", type="STOP_LIMIT", stop_price="90")],
            PASSES,
        ),
        (
            build_order(),
            [build_working_order("SELL", "5", "100", type="STOP_LIMIT", stop_price="90", is_triggered=True)],
            "SELF_MATCH",
        ),
        # The order's own group does not count.
        (build_order(group_id="G1"), [build_working_order("SELL", "5", "101", group_id="G1")], PASSES),
        (build_order(group_id="G1"), [build_working_order("SELL", "5", "101", group_id="G2")], "SELF_MATCH"),
    ],
)
def test_order_that_crosses_an_own_resting_order_is_denied(asked, orders, code):
    code_and_quantity = get_code_and_quantity(build_risk_input(order=asked, orders=orders))
    assert (code_and_quantity and code_and_quantity[0]) == code


def test_order_without_an_exchange_rate_is_denied():
    assert get_code_and_quantity(build_risk_input(no_rate="ZZZ/USD")) == ("NO_RATE", "0")
    assert get_denial(build_risk_input(no_rate="ZZZ/USD")).asked == "ZZZ/USD"


@pytest.mark.parametrize(
    ("limits", "denial"),
    [
        ({"max_order_value": "5000"}, ("MAX_ORDER_VALUE", "9")),
        ({"max_position_value": "5000"}, ("MAX_POSITION_VALUE", "9")),
        ({"max_gross_exposure": "5000"}, ("MAX_GROSS_EXPOSURE", "9")),
        ({"max_net_exposure": "5000"}, ("MAX_NET_EXPOSURE", "9")),
        ({"cash": 5000}, ("BUYING_POWER", "9")),
        ({"max_price": "102", "price_collar_percent": "2"}, PASSES),  # prices are the instrument's
    ],
)
def test_values_are_in_the_portfolio_currency(limits, denial):
    """10 at 101 are 1,010, and 5,050 at a rate of 5."""
    assert get_code_and_quantity(build_risk_input(rate=Decimal(5), **limits)) == denial


@pytest.mark.parametrize(
    ("amount", "prices", "reason"),
    [
        (None, Prices(None, None, Decimal(100)), PASSES),
        ("99", Prices(None, None, Decimal(100)), PASSES),
        ("100", Prices(None, None, Decimal(100)), "TRAIL_AMOUNT"),
        ("99", Prices(Decimal(99), Decimal(101), None), "TRAIL_AMOUNT"),
        ("99", Prices(), PASSES),
    ],
)
def test_trail_amount_must_be_smaller_than_the_price(amount, prices, reason):
    trail = build_order(side="SELL", type="TRAILING_STOP", trail_amount=amount and Decimal(amount))
    denial = check_trail(build_risk_input(order=trail, prices=prices), Decimal(10))
    assert (denial and denial.code) == reason


def test_exit_ignores_limits_and_switches_but_not_its_own_terms():
    stop = build_order(**STOP)
    assert evaluate_exit(build_risk_input(order=stop, max_order_value="1", state=TradingState.HALTED)) is None
    denial = evaluate_exit(
        build_risk_input(order=build_order(**(STOP | {"stop_price": "90.001"}))), is_change=True
    )
    assert denial is not None
    assert denial.code == "TICK_SIZE"


SILENT = Decimal(31)


@pytest.mark.parametrize(
    ("asked", "denial"),
    [
        (build_order(), ("STALE_QUOTE", "0")),
        (build_order(side="SELL"), ("STALE_QUOTE", "0")),
        (build_order(type="LIMIT", limit_price="100.99"), PASSES),
        (build_order(type="LIMIT", limit_price="101"), ("STALE_QUOTE", "0")),
        (build_order(side="SELL", type="LIMIT", limit_price="99.01"), PASSES),
        (build_order(side="SELL", type="LIMIT", limit_price="99"), ("STALE_QUOTE", "0")),
        (build_order(type="STOP", stop_price="100.01"), PASSES),
        (build_order(type="STOP", stop_price="100"), ("STALE_QUOTE", "0")),
        (build_order(type="STOP_LIMIT", stop_price="100", limit_price="90"), ("STALE_QUOTE", "0")),
        (build_order(type="STOP_LIMIT", stop_price="100", limit_price="90", is_triggered=True), PASSES),
        (build_order(type="TRAILING_STOP", trail_amount=Decimal(2)), ("STALE_QUOTE", "0")),
        (build_order(type="TRAILING_STOP", trail_amount=Decimal(2), stop_price="103"), PASSES),
        (build_order(side="SELL", is_closing=True), PASSES),
    ],
)
def test_stale_quote_denies_opening_orders(asked, denial):
    assert get_code_and_quantity(build_risk_input(order=asked, feed_silence=SILENT)) == denial
    for silence in (None, Decimal(30)):
        assert get_code_and_quantity(build_risk_input(order=asked, feed_silence=silence)) is PASSES


@pytest.mark.parametrize(
    ("quantity", "denial"), [("5", PASSES), ("6", ("STALE_QUOTE", "5"))], ids=["reduces", "goes through zero"]
)
def test_stale_quote_allows_reducing_orders(quantity, denial):
    candidate = build_order(side="SELL", quantity=quantity)
    assert get_code_and_quantity(build_risk_input(order=candidate, position=5, feed_silence=SILENT)) == denial


def test_stale_quote_denial_contains_the_age():
    denial = get_denial(build_risk_input(feed_silence=SILENT))
    assert (denial.limit, denial.asked) == (Decimal(30), Decimal(31))
    assert denial.message == (
        "The price feed of AAPL has been silent for 31 seconds, more than 30. "
        "Send a limit order that does not cross, or wait."
    )


def test_stop_is_accepted_without_any_price():
    candidate = build_order(type="STOP", stop_price="100")
    assert (
        get_code_and_quantity(build_risk_input(order=candidate, prices=Prices(), feed_silence=SILENT))
        is PASSES
    )
    limit = build_order(type="LIMIT", limit_price="100")
    assert (
        get_code_and_quantity(build_risk_input(order=limit, prices=Prices(), feed_silence=SILENT))[0]
        == "NO_REFERENCE_PRICE"
    )
    bid_only = Prices(Decimal(99), Decimal(101), None)
    assert (
        get_code_and_quantity(build_risk_input(order=candidate, prices=bid_only, feed_silence=SILENT))[0]
        == "STALE_QUOTE"
    )
