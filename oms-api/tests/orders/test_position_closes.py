"""A closing order and the exits of its position together never close more than the position."""

import pytest

from app.brokers.rules.settings import PaperSettings
from app.brokers.rules.values import Executed
from app.orders.rules.values import OrderType, Role, Status, StopLoss, TakeProfit
from tests.orders.exit_orders import EXIT_TERMS, get_held_quantity, get_leg, list_exit_leaves, list_exits
from tests.orders.requests import set_switch
from tests.orders.writer_harness import WriterHarness, to_decimal

pytestmark = pytest.mark.any_database


@pytest.fixture(scope="module")
def service(verified_service):
    """Provide a service whose database is verified after the last test."""
    return verified_service


def set_limit(api, code, value):
    response = api.put("/limits", {"scope": "tenant", "code": code, "value": value})
    assert response.status_code == 200, response.text


def close_position(api, quantity=None):
    body = {"portfolio_name": "Growth", "symbol": "AAPL", "quantity": quantity}
    response = api.post("/positions:close", body)
    assert response.status_code == 201, response.text
    return response.json()


def test_partial_close_reduces_both_exits(market):
    order = market.place_order(quantity="100", **EXIT_TERMS)
    closed = close_position(market, "40")
    assert (closed["status"], closed["role"]) == ("FILLED", "closing")
    assert list_exit_leaves(market, order) == ("60", "60")
    (cut,) = (
        event for event in market.get_order(list_exits(market, order)["stop_loss"]["id"])["events"][-1:]
    )
    assert (cut["reason"], cut["actor"], cut["to_status"]) == ("Quantity reduced to 60", "group", "ACCEPTED")
    market.set_quote("AAPL", "79", "80", "79")
    assert get_held_quantity(market) == "0"


@pytest.mark.parametrize("quantity", [None, "100"])
def test_full_close_cancels_all_exits(market, quantity):
    order = market.place_order(quantity="100", **EXIT_TERMS)
    close_position(market, quantity)
    assert {leg["status"] for leg in list_exits(market, order).values()} == {"CANCELED"}


def test_exits_smaller_than_the_remaining_position_are_unchanged(market):
    order = market.place_order(quantity="60", **EXIT_TERMS)
    market.place_order(quantity="40")
    close_position(market, "30")
    assert list_exit_leaves(market, order) == ("60", "60")
    close_position(market, "20")
    assert list_exit_leaves(market, order) == ("50", "50")


def test_oldest_exits_are_reduced_first(market):
    first, second = (market.place_order(quantity="50", **EXIT_TERMS) for _ in range(2))
    close_position(market, "60")
    assert list_exit_leaves(market, second) == ("40", "40")
    assert {leg["status"] for leg in list_exits(market, first).values()} == {"CANCELED"}


def test_partial_close_of_a_short_reduces_both_exits(market):
    legs = {"take_profit": {"limit_price": "80"}, "stop_loss": {"stop_price": "120"}}
    order = market.place_order(side="SELL", quantity="10", **legs)
    close_position(market, "4")
    assert list_exit_leaves(market, order) == ("6", "6")


def test_partial_close_reduces_a_closing_oco_pair(market):
    market.place_order(quantity="10")
    ticket = {"portfolio_name": "Growth", "symbol": "AAPL", "side": "SELL", "quantity": "10"}
    pair_terms = [
        {**ticket, "type": "LIMIT", "limit_price": "120"},
        {**ticket, "type": "STOP", "stop_price": "80"},
    ]
    orders = market.post("/orders:group", {"kind": "OCO", "orders": pair_terms}).json()["orders"]
    close_position(market, "4")
    assert [market.get_order(order["id"])["leaves_quantity"] for order in orders] == ["6", "6"]
    close_position(market)
    assert {market.get_order(order["id"])["status"] for order in orders} == {"CANCELED"}


@pytest.mark.parametrize("order_terms", [None, "6"])
def test_partial_close_leaves_plain_orders_unchanged(market, order_terms):
    market.place_order(quantity="10")
    plain = market.place_order(side="SELL", type="LIMIT", limit_price="120", quantity="10")
    close_position(market, "4")
    assert market.get_order(plain["id"])["leaves_quantity"] == "10"
    close_position(market, order_terms)
    assert market.get_order(plain["id"])["status"] == "CANCELED"


def test_close_leaves_exits_of_another_product_unchanged(market):
    order = market.place_order(quantity="10", product="NRML", **EXIT_TERMS)
    market.place_order(quantity="10")
    close_position(market, "5")
    assert list_exit_leaves(market, order) == ("10", "10")


def test_partial_close_is_allowed_while_reducing(market):
    order = market.place_order(quantity="10", **EXIT_TERMS)
    set_switch(market, "REDUCING")
    assert close_position(market, "4")["status"] == "FILLED"
    assert list_exit_leaves(market, order) == ("6", "6")


def place_bracket_while_reducing(market):
    """Return a bracket that filled during REDUCING, which is over: its exits work."""
    order = market.place_order(
        type="LIMIT", limit_price="90", quantity="10", time_in_force="GTC", **EXIT_TERMS
    )
    set_switch(market, "REDUCING")
    market.set_quote("AAPL", "88", "89", "89")
    assert {leg["status"] for leg in list_exits(market, order).values()} == {"ACCEPTED"}
    set_switch(market, "ACTIVE")
    return order


def test_exits_released_while_reducing_are_cancelled_with_the_position(market):
    order = place_bracket_while_reducing(market)
    close_position(market)
    assert {leg["status"] for leg in list_exits(market, order).values()} == {"CANCELED"}


def test_exits_released_while_reducing_are_reduced_to_the_position(market):
    order = place_bracket_while_reducing(market)
    close_position(market, "4")
    market.set_quote("AAPL", "89", "90", "89")
    assert list_exit_leaves(market, order) == ("6", "6")


def test_entry_filled_after_reducing_releases_exits_for_the_remaining_position(market):
    order = market.place_order(
        type="LIMIT", limit_price="90", quantity="10", time_in_force="GTC", **EXIT_TERMS
    )
    set_switch(market, "REDUCING")
    market.set_quote("AAPL", "88", "89", "89", ask_size="4")
    market.set_quote("AAPL", "95", "96", "95")
    set_switch(market, "ACTIVE")
    close_position(market, "2")
    order = market.patch(f"/orders/{order['id']}", {"limit_price": "96"}).json()
    assert (order["status"], list_exit_leaves(market, order), get_held_quantity(market)) == (
        "FILLED",
        ("8", "8"),
        "8",
    )


def test_resting_close_and_exit_together_never_exceed_the_position(market):
    order = market.place_order(quantity="10", **EXIT_TERMS)
    market.set_quote("AAPL", "99", "101", "100", bid_size="1")
    resting = close_position(market, "4")
    assert (resting["status"], list_exit_leaves(market, order)) == ("PARTIALLY_FILLED", ("9", "9"))
    market.set_quote(
        "AAPL", "79", "80", "79", bid_size="20"
    )  # the stop is reached, and the close has its rest
    assert market.get_order(resting["id"])["status"] == "FILLED"
    assert list_exits(market, order)["stop_loss"]["filled_quantity"] == "6"
    assert get_held_quantity(market) == "0"


def test_exit_fill_reduces_a_resting_close(market):
    order = market.place_order(quantity="10", **EXIT_TERMS)
    market.set_quote("AAPL", "99", "101", "100", bid_size="1")
    resting = close_position(market)
    assert list_exits(market, order)["stop_loss"]["leaves_quantity"] == "9"
    assert resting["leaves_quantity"] == "9"


def place_partly_filled_close(harness, quantity="4"):
    """Return a bracket of 10 and the order that closes `quantity` of its position, of which 1 has filled."""
    entry = harness.place_order(
        take_profit=TakeProfit(to_decimal("120")), stop_loss=StopLoss(to_decimal("80"))
    )
    harness.publish_quote("99", "101", "100", bid_size="1")
    resting = harness.close_position(quantity=quantity).orders[0].order
    assert resting.filled_quantity == 1
    return entry, resting


def test_quantity_filled_by_an_exit_is_not_closed_again(harness):
    entry, resting = place_partly_filled_close(harness)
    stop = get_leg(harness, entry, "stop_loss")
    harness.report_broker_event(
        stop, Executed(stop.id, "X-1", to_decimal("7"), to_decimal("80"), to_decimal("560"), harness.now)
    )
    assert harness.get_order(resting).leaves_quantity == 2
    harness.report_broker_event(
        stop, Executed(stop.id, "X-2", to_decimal("2"), to_decimal("80"), to_decimal("160"), harness.now)
    )
    assert harness.get_order(resting).status is Status.CANCELED


def test_rejected_close_leaves_exits_unchanged(engine):
    harness = WriterHarness(engine)
    harness.publish_quote("99", "101", "100")
    entry = harness.place_order(
        take_profit=TakeProfit(to_decimal("120")), stop_loss=StopLoss(to_decimal("80"))
    )
    harness.paper = PaperSettings(reject_share=to_decimal("1"))
    harness.restart()
    harness.publish_quote("99", "101", "100")
    assert harness.close_position().orders[0].order.status is Status.REJECTED
    assert get_leg(harness, entry, "stop_loss").leaves_quantity == 10


def test_entry_is_cancelled_when_its_exits_are_cancelled(harness):
    harness.publish_quote("99", "101", "100", ask_size="4")
    entry = harness.place_order(type="LIMIT", limit_price="101", stop_loss=StopLoss(to_decimal("80")))
    harness.publish_quote("102", "103", "102")  # away from the entry, which a sale below its limit would meet
    harness.place_order(type="MARKET", quantity="2", side="SELL")
    harness.close_position(quantity="1")
    assert get_leg(harness, entry, "stop_loss").leaves_quantity == 1
    assert harness.get_order(entry).status is Status.PARTIALLY_FILLED
    harness.close_position()
    assert harness.get_order(entry).status is Status.CANCELED
    assert get_leg(harness, entry, "stop_loss").status is Status.CANCELED


def test_entry_ends_when_all_its_exits_are_reduced_to_zero(harness):
    entries = []
    for ask in ("101", "103"):
        harness.publish_quote("99", ask, "100", ask_size="4")
        entries.append(
            harness.place_order(type="LIMIT", limit_price=ask, stop_loss=StopLoss(to_decimal("80")))
        )
    harness.publish_quote("104", "105", "104")
    harness.close_position(quantity="5")
    assert [harness.get_order(entry).status for entry in entries] == [
        Status.CANCELED,
        Status.PARTIALLY_FILLED,
    ]
    assert [get_leg(harness, entry, "stop_loss").leaves_quantity for entry in entries] == [0, 3]


def test_exits_of_working_entries_are_reduced_last(harness):
    harness.publish_quote("99", "101", "100", ask_size="4")
    open_entry = harness.place_order(type="LIMIT", limit_price="101", stop_loss=StopLoss(to_decimal("80")))
    harness.publish_quote("102", "103", "102")
    whole = harness.place_order(quantity="4", stop_loss=StopLoss(to_decimal("80")))
    harness.close_position(quantity="3")
    assert get_leg(harness, open_entry, "stop_loss").leaves_quantity == 4
    assert get_leg(harness, whole, "stop_loss").leaves_quantity == 1
    harness.close_position(quantity="4")
    assert harness.get_order(open_entry).status is Status.PARTIALLY_FILLED
    assert get_leg(harness, open_entry, "stop_loss").leaves_quantity == 1


def test_close_creates_a_separate_market_order(harness):
    harness.place_order()
    closed = harness.close_position(quantity="4").orders[0].order
    assert (closed.type, closed.role, closed.group_id) == (OrderType.MARKET, Role.CLOSING, None)


def test_partial_closes_together_never_exceed_the_position(market):
    market.place_order(quantity="100")
    market.set_quote("AAPL", "99", "101", "100", bid_size="10")
    first, second = close_position(market, "60"), close_position(market, "60")
    assert (first["filled_quantity"], second["filled_quantity"]) == ("10", "0")
    market.set_quote("AAPL", "99", "101", "100")
    assert get_held_quantity(market) == "0"
    assert [market.get_order(order["id"])["filled_quantity"] for order in (first, second)] == ["60", "40"]


def test_resting_close_is_reduced_by_a_reported_trade(market):
    market.place_order(quantity="10")
    market.set_quote("AAPL", "99", "101", "100", bid_size="1")
    cut, ended = close_position(market, "6"), close_position(market, "3")
    market.sell("7", "100")
    market.set_quote("AAPL", "99", "101", "100")
    assert (get_held_quantity(market), market.get_order(cut["id"])["filled_quantity"]) == ("0", "3")
    assert market.get_order(ended["id"])["status"] == "CANCELED"


def test_flattening_several_strategies_opens_no_position(harness):
    for strategy in ("Momentum", "Pairs"):
        harness.place_order(quantity="60", strategy=strategy)
    harness.place_order(quantity="20", side="SELL")
    harness.publish_quote("99", "101", "100", bid_size="1")
    for strategy in ("Momentum", "Pairs"):
        harness.close_position(quantity="60", strategy=strategy, ignores_halt=True)
    harness.publish_quote("99", "101", "100")
    assert harness.query("SELECT quantity FROM positions") in ([("0.00000000",)], [(to_decimal("0"),)])


def test_odd_lot_position_can_be_closed(market):
    market.place_order(quantity="235")
    terms = {"lot_size": "75", "tick_size": "0.05", "exchange": "NSE", "currency": "USD"}
    response = market.put("/instruments/AAPL", terms)
    assert response.status_code in {200, 201}, response.text
    assert close_position(market)["status"] == "FILLED"
    assert get_held_quantity(market) == "0"


OPENING_LIMITS = [
    ("MAX_ORDER_VALUE", "100"),
    ("MAX_POSITION_VALUE", "100"),
    ("MAX_GROSS_EXPOSURE", "100"),
    ("MAX_NET_EXPOSURE", "100"),
    ("MAX_OPEN_ORDERS", "0"),
    ("PRICE_COLLAR_PERCENT", "0.1"),
]


@pytest.mark.parametrize("side", ["BUY", "SELL"])
def test_limits_on_opening_orders_do_not_block_a_close(market, side):
    market.place_order(side=side, quantity="10")
    for code, value in OPENING_LIMITS:
        set_limit(market, code, value)
    assert close_position(market)["status"] == "FILLED"
    assert get_held_quantity(market) == "0"


def test_close_without_a_price_waits_for_a_quote(market):
    market.place_order(quantity="10")
    assert market.put("/quotes/AAPL", {"bid": None, "ask": "101", "last": None}).status_code == 200
    resting = close_position(market)
    assert resting["status"] == "ACCEPTED"
    market.set_quote("AAPL", "99", "101", "100")
    assert (market.get_order(resting["id"])["status"], get_held_quantity(market)) == ("FILLED", "0")


@pytest.mark.parametrize("side", ["BUY", "SELL"])
def test_close_above_the_maximum_order_quantity_is_split(market, side):
    market.place_order(side=side, quantity="25")
    set_limit(market, "MAX_ORDER_QUANTITY", "10")
    closed = close_position(market)
    parts = [closed, *closed["legs"]]
    assert [(part["quantity"], part["status"]) for part in parts] == [
        ("10", "FILLED"),
        ("10", "FILLED"),
        ("5", "FILLED"),
    ]
    assert {leg["parent_id"] for leg in closed["legs"]} == {closed["id"]}
    assert get_held_quantity(market) == "0"
    assert len(market.get_order(closed["id"])["legs"]) == 2


def test_parts_of_a_split_close_are_sent_in_sequence_and_end_together(market):
    market.place_order(quantity="25", **EXIT_TERMS)
    set_limit(market, "MAX_ORDER_QUANTITY", "10")
    market.set_quote("AAPL", "99", "101", "100", bid_size="12")
    closed = close_position(market)
    states = [(order["status"], order["filled_quantity"]) for order in [closed, *closed["legs"]]]
    assert states == [("FILLED", "10"), ("PARTIALLY_FILLED", "2"), ("HELD", "0")]
    market.sell("11", "100")  # 2 are left: the second part is cut to them, and nothing is left to the third
    market.set_quote("AAPL", "99", "101", "100")
    assert [leg["status"] for leg in market.get_order(closed["id"])["legs"]] == ["FILLED", "CANCELED"]
    assert get_held_quantity(market) == "0"


def test_cancelled_part_of_a_split_close_cancels_the_waiting_parts(market):
    market.place_order(quantity="45")
    set_limit(market, "MAX_ORDER_QUANTITY", "10")
    assert market.put("/quotes/AAPL", {"bid": None, "ask": "101", "last": None}).status_code == 200
    closed = close_position(market)
    response = market.patch(f"/orders/{closed['id']}", {"quantity": "46"})
    assert (response.status_code, response.json()["denial"]["code"]) == (422, "REDUCE_ONLY")
    changed = market.patch(f"/orders/{closed['id']}", {"quantity": "9"}).json()
    assert [leg["status"] for leg in changed["legs"]] == ["HELD"] * 4
    assert market.post(f"/orders/{changed['id']}/cancel", {}).status_code == 200
    assert {leg["status"] for leg in market.get_order(changed["id"])["legs"]} == {"CANCELED"}
    again = close_position(market)
    assert len(again["legs"]) == 4


def test_flatten_splits_closes_above_the_maximum_order_quantity(market):
    market.place_order(quantity="25")
    set_limit(market, "MAX_ORDER_QUANTITY", "10")
    result = set_switch(market, "HALTED", exits="flatten")
    assert (get_held_quantity(market), result["flattened"]["left"], len(result["flattened"]["closed"])) == (
        "0",
        [],
        1,
    )


def test_other_risk_checks_apply_to_a_close(market):
    market.place_order(quantity="25")
    set_switch(market, "HALTED")
    response = market.post("/positions:close", {"portfolio_name": "Growth", "symbol": "AAPL"})
    assert (response.status_code, response.json()["denial"]["code"]) == (422, "HALTED")


@pytest.mark.parametrize(("side", "opposite"), [("BUY", "SELL"), ("SELL", "BUY")])
@pytest.mark.parametrize("by", ["close", "order", "limit"])
def test_smallest_possible_quantity_can_be_closed(market, side, opposite, by):
    """It is worth nothing in 8 decimals."""
    market.set_quote("DUST", "0.1", "0.1", "0.1")
    market.put("/instruments/DUST", {"tick_size": "0.00000001", "lot_size": "0.00000001"})
    market.record_trade(symbol="DUST", side=side, quantity="0.00000001", gmv="0.00000001")
    dust = {"symbol": "DUST", "quantity": "0.00000001"}
    if by == "close":
        closed = market.post("/positions:close", {"portfolio_name": "Growth", "symbol": "DUST"}).json()
    elif by == "order":
        closed = market.place_order(side=opposite, **dust)
    else:
        closed = market.place_order(side=opposite, type="LIMIT", limit_price="0.1", **dust)
    assert (closed["status"], closed["filled_quantity"]) == ("FILLED", "0.00000001")
    assert market.get_portfolio()["positions"]["DUST"]["quantity"] == "0"
    opening = market.post_order(side=side, **dust)  # nothing is opened for nothing
    assert (opening.status_code, opening.json()["denial"]["code"]) == (422, "VALUE_TOO_SMALL")


def test_smallest_possible_close_can_be_reversed(market):
    market.set_quote("DUST", "0.1", "0.1", "0.1")
    market.put("/instruments/DUST", {"tick_size": "0.00000001", "lot_size": "0.00000001"})
    market.record_trade(symbol="DUST", quantity="0.00000001", gmv="0.00000001")
    market.post("/positions:close", {"portfolio_name": "Growth", "symbol": "DUST"})
    sale = market.list_trades()[0]
    assert (sale["side"], sale["gmv"]) == ("SELL", "0.00")
    assert market.post_reversal(sale["trade_id"]).status_code == 201
    assert market.get_portfolio()["positions"]["DUST"]["quantity"] == "0.00000001"
