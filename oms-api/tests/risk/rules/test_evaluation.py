"""The first failing check denies; the largest passing quantity is computed correctly."""

from decimal import Decimal
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from app.money import ZERO
from app.risk.rules import checks
from app.risk.rules.evaluation import CHECKS, compute_largest_passing, evaluate_order, list_headrooms
from app.risk.rules.values import Prices, TradedInstrument, TradingState
from tests.risk.check_inputs import (
    build_order,
    build_position,
    build_risk_input,
    build_working_order,
    get_denial,
)

whole = st.integers(0, 60).map(Decimal)
amounts = st.integers(1, 12_000).map(Decimal)
optional = st.none() | amounts
sides = st.sampled_from(["BUY", "SELL"])
orders = st.builds(
    lambda side, leaves, limit, exclusive: build_working_order(
        side, str(leaves), str(limit), oco_group_id=exclusive, group_id=exclusive
    ),
    sides,
    st.integers(1, 30),
    st.integers(80, 120),
    st.sampled_from([None, None, "G1"]),
)


@st.composite
def draw_risk_inputs(draw):
    lot = Decimal(draw(st.sampled_from(["1", "0.5", "3"])))
    kind = draw(st.sampled_from(["MARKET", "LIMIT", "STOP"]))
    price = str(draw(st.integers(85, 115)))
    priced = {"LIMIT": {"limit_price": price}, "STOP": {"stop_price": price}}.get(kind, {})
    candidate = build_order(
        side=draw(sides),
        type=kind,
        quantity=draw(st.integers(1, 120)) * Decimal("0.5"),
        group_id=draw(st.sampled_from([None, "G1"])),
        product=draw(st.sampled_from(["", "CNC"])),
        **priced,
    )
    return build_risk_input(
        order=candidate._replace(oco_group_id=candidate.group_id),
        instrument=TradedInstrument(Decimal("0.01"), lot),
        prices=draw(st.sampled_from([Prices(), Prices(Decimal(99), Decimal(101), Decimal(100))])),
        position=draw(st.integers(-40, 40)),
        orders=draw(st.lists(orders, max_size=4)),
        other_exposure=[build_position(str(draw(st.integers(-30, 30))), "100")],
        firm=[build_position(str(draw(st.integers(-30, 30))), "100")],
        cash=draw(st.integers(-3_000, 12_000)),
        state=draw(st.sampled_from([TradingState.ACTIVE, TradingState.ACTIVE, TradingState.REDUCING])),
        max_order_quantity=draw(optional),
        max_order_value=draw(optional),
        max_position_value=draw(optional),
        max_gross_exposure=draw(optional),
        max_net_exposure=draw(optional),
        firm_gross_exposure=draw(optional),
        firm_net_exposure=draw(optional),
        short_selling=draw(st.booleans()),
        max_daily_loss=draw(optional),
        pnl_of_day=draw(st.none() | st.integers(-12_000, 0).map(Decimal)),
    )


def is_passing(situation, quantity):
    return evaluate_order(situation._replace(order=situation.order._replace(quantity=quantity))) is None


@given(draw_risk_inputs())
def test_largest_passing_quantity_equals_exhaustive_search(situation):
    lot, asked = situation.instrument.lot_size, situation.order.quantity
    tried = [lot * lots for lots in range(1, int(asked // lot) + 1)]
    largest = max([quantity for quantity in tried if is_passing(situation, quantity)], default=ZERO)
    denial = evaluate_order(situation)
    assert compute_largest_passing(situation) == largest
    assert (denial is None) == (largest == asked)
    if denial:
        assert denial.largest_passing == largest
        assert ZERO <= largest < asked


@given(draw_risk_inputs())
def test_every_smaller_quantity_passes_too(situation):
    lot = situation.instrument.lot_size
    verdicts = [is_passing(situation, lot * lots) for lots in range(1, 40)]
    assert verdicts == sorted(verdicts, reverse=True)


@given(draw_risk_inputs())
def test_order_passes_when_every_check_has_headroom(situation):
    rooms = list_headrooms(situation)
    assert [headroom.check for headroom in rooms] == [name for name, _ in CHECKS]
    assert all(headroom.passes for headroom in rooms) == (evaluate_order(situation) is None)
    bounds = [headroom.largest_passing for headroom in rooms if headroom.largest_passing is not None]
    lot, quantity = situation.instrument.lot_size, situation.order.quantity
    assert compute_largest_passing(situation) == min([*bounds, quantity // lot * lot])


def test_every_check_module_is_registered_once():
    files = {path.stem for path in Path(checks.__file__).parent.glob("*.py")} - {"__init__"}
    assert files == {name for name, _ in CHECKS}
    assert len(files) == len(CHECKS)


def test_first_failing_check_determines_the_denial():
    both = build_risk_input(state=TradingState.HALTED, instrument=None)
    assert get_denial(both).code == "HALTED"
    assert get_denial(both._replace(state=TradingState.ACTIVE)).code == "UNKNOWN_INSTRUMENT"


def test_overridden_check_is_skipped():
    limited = build_risk_input(
        order=build_order(quantity="20"), max_order_quantity="10", max_order_value="1000"
    )
    assert get_denial(limited).code == "MAX_ORDER_QUANTITY"
    assert get_denial(limited._replace(waived=frozenset({"MAX_ORDER_QUANTITY"}))).code == "MAX_ORDER_VALUE"
    assert (
        evaluate_order(limited._replace(waived=frozenset({"MAX_ORDER_QUANTITY", "MAX_ORDER_VALUE"}))) is None
    )


def test_largest_passing_quantity_is_found_for_tiny_lots():
    coin = TradedInstrument(Decimal("0.01"), Decimal("0.00000001"), asset_class="crypto")
    denial = get_denial(build_risk_input(order=build_order(quantity="1000000"), instrument=coin, cash=1000))
    assert denial.largest_passing == Decimal("9.90099009")


def test_headroom_shows_the_nearest_limit():
    rooms = {
        headroom.check: headroom
        for headroom in list_headrooms(build_risk_input(max_order_quantity="50", cash=5_050))
    }
    assert rooms["order_quantity"].largest_passing == 50
    assert rooms["order_quantity"].code == "MAX_ORDER_QUANTITY"
    assert rooms["order_quantity"].limit == 50
    assert rooms["buying_power"].largest_passing == 50
    assert rooms["kill_switch"] == ("kill_switch", True, None, None, None, None)
    denied = {
        headroom.check: headroom for headroom in list_headrooms(build_risk_input(max_order_quantity="5"))
    }["order_quantity"]
    assert not denied.passes
    assert denied.largest_passing == 5
    assert denied.message == "An order may have at most 5 units."
    unknown = {headroom.check: headroom for headroom in list_headrooms(build_risk_input(instrument=None))}
    assert unknown["instrument"].largest_passing == 0
    assert unknown["increments"].passes
    off_lot = {
        headroom.check: headroom
        for headroom in list_headrooms(build_risk_input(order=build_order(quantity="1.5")))
    }["increments"]
    assert (off_lot.passes, off_lot.code, off_lot.largest_passing) == (False, "LOT_SIZE", None)
