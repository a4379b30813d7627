"""A closing order and the exits of its position together never close more than the position."""

import pytest

from app.brokers.rules.settings import PaperSettings
from app.brokers.rules.values import Executed
from app.orders.rules.values import OrderType, Protection, Role, Status, Target
from tests.orders.rig import Rig, amount
from tests.orders.test_stopping import set_switch

pytestmark = pytest.mark.any_database


@pytest.fixture(scope="module")
def service(verified_service):
    """Provide a service whose database is verified after the last test."""
    return verified_service


def limit(api, code, value):
    answer = api.put("/limits", {"scope": "tenant", "code": code, "value": value})
    assert answer.status_code == 200, answer.text


LEGS = {"take_profit": {"limit_price": "120"}, "stop_loss": {"stop_price": "80"}}


def close(api, quantity=None):
    body = {"portfolio_name": "Growth", "symbol": "AAPL", "quantity": quantity}
    answer = api.post("/positions:close", body)
    assert answer.status_code == 201, answer.text
    return answer.json()


def exits(api, order):
    return {leg["role"]: leg for leg in api.found(order["id"])["legs"]}


def leaves(api, order):
    """Return what the take-profit and the stop-loss may still fill."""
    return tuple(exits(api, order)[role]["leaves_quantity"] for role in ("take_profit", "stop_loss"))


def held(api):
    return api.portfolio()["positions"]["AAPL"]["quantity"]


def test_partial_close_reduces_both_exits(market):
    order = market.order(quantity="100", **LEGS)
    closed = close(market, "40")
    assert (closed["status"], closed["role"]) == ("FILLED", "closing")
    assert leaves(market, order) == ("60", "60")
    (cut,) = (one for one in market.found(exits(market, order)["stop_loss"]["id"])["events"][-1:])
    assert (cut["reason"], cut["actor"], cut["to_status"]) == ("Quantity reduced to 60", "group", "ACCEPTED")
    market.quote("AAPL", "79", "80", "79")
    assert held(market) == "0"


@pytest.mark.parametrize("quantity", [None, "100"])
def test_full_close_cancels_all_exits(market, quantity):
    order = market.order(quantity="100", **LEGS)
    close(market, quantity)
    assert {leg["status"] for leg in exits(market, order).values()} == {"CANCELED"}


def test_exits_smaller_than_the_remaining_position_are_unchanged(market):
    order = market.order(quantity="60", **LEGS)
    market.order(quantity="40")
    close(market, "30")
    assert leaves(market, order) == ("60", "60")
    close(market, "20")
    assert leaves(market, order) == ("50", "50")


def test_oldest_exits_are_reduced_first(market):
    first, second = (market.order(quantity="50", **LEGS) for _ in range(2))
    close(market, "60")
    assert leaves(market, second) == ("40", "40")
    assert {leg["status"] for leg in exits(market, first).values()} == {"CANCELED"}


def test_partial_close_of_a_short_reduces_both_exits(market):
    legs = {"take_profit": {"limit_price": "80"}, "stop_loss": {"stop_price": "120"}}
    order = market.order(side="SELL", quantity="10", **legs)
    close(market, "4")
    assert leaves(market, order) == ("6", "6")


def test_partial_close_reduces_a_closing_oco_pair(market):
    market.order(quantity="10")
    ticket = {"portfolio_name": "Growth", "symbol": "AAPL", "side": "SELL", "quantity": "10"}
    pair = [{**ticket, "type": "LIMIT", "limit_price": "120"}, {**ticket, "type": "STOP", "stop_price": "80"}]
    made = market.post("/orders:group", {"kind": "OCO", "orders": pair}).json()["orders"]
    close(market, "4")
    assert [market.found(one["id"])["leaves_quantity"] for one in made] == ["6", "6"]
    close(market)
    assert {market.found(one["id"])["status"] for one in made} == {"CANCELED"}


@pytest.mark.parametrize("rest", [None, "6"])
def test_partial_close_leaves_plain_orders_unchanged(market, rest):
    market.order(quantity="10")
    plain = market.order(side="SELL", type="LIMIT", limit_price="120", quantity="10")
    close(market, "4")
    assert market.found(plain["id"])["leaves_quantity"] == "10"
    close(market, rest)
    assert market.found(plain["id"])["status"] == "CANCELED"


def test_close_leaves_exits_of_another_product_unchanged(market):
    order = market.order(quantity="10", product="NRML", **LEGS)
    market.order(quantity="10")
    close(market, "5")
    assert leaves(market, order) == ("10", "10")


def test_partial_close_is_allowed_while_reducing(market):
    order = market.order(quantity="10", **LEGS)
    set_switch(market, "REDUCING")
    assert close(market, "4")["status"] == "FILLED"
    assert leaves(market, order) == ("6", "6")


def filled_while_reducing(market):
    """Return a bracket that filled during REDUCING, which is over: its exits work."""
    order = market.order(type="LIMIT", limit_price="90", quantity="10", time_in_force="GTC", **LEGS)
    set_switch(market, "REDUCING")
    market.quote("AAPL", "88", "89", "89")
    assert {leg["status"] for leg in exits(market, order).values()} == {"ACCEPTED"}
    set_switch(market, "ACTIVE")
    return order


def test_exits_released_while_reducing_are_cancelled_with_the_position(market):
    order = filled_while_reducing(market)
    close(market)
    assert {leg["status"] for leg in exits(market, order).values()} == {"CANCELED"}


def test_exits_released_while_reducing_are_reduced_to_the_position(market):
    order = filled_while_reducing(market)
    close(market, "4")
    market.quote("AAPL", "89", "90", "89")
    assert leaves(market, order) == ("6", "6")


def test_entry_filled_after_reducing_releases_exits_for_the_remaining_position(market):
    order = market.order(type="LIMIT", limit_price="90", quantity="10", time_in_force="GTC", **LEGS)
    set_switch(market, "REDUCING")
    market.quote("AAPL", "88", "89", "89", ask_size="4")
    market.quote("AAPL", "95", "96", "95")
    set_switch(market, "ACTIVE")
    close(market, "2")
    order = market.patch(f"/orders/{order['id']}", {"limit_price": "96"}).json()
    assert (order["status"], leaves(market, order), held(market)) == ("FILLED", ("8", "8"), "8")


def test_resting_close_and_exit_together_never_exceed_the_position(market):
    order = market.order(quantity="10", **LEGS)
    market.quote("AAPL", "99", "101", "100", bid_size="1")
    resting = close(market, "4")
    assert (resting["status"], leaves(market, order)) == ("PARTIALLY_FILLED", ("9", "9"))
    market.quote("AAPL", "79", "80", "79", bid_size="20")  # the stop is reached, and the close has its rest
    assert market.found(resting["id"])["status"] == "FILLED"
    assert exits(market, order)["stop_loss"]["filled_quantity"] == "6"
    assert held(market) == "0"


def test_exit_fill_reduces_a_resting_close(market):
    order = market.order(quantity="10", **LEGS)
    market.quote("AAPL", "99", "101", "100", bid_size="1")
    resting = close(market)
    assert exits(market, order)["stop_loss"]["leaves_quantity"] == "9"
    assert resting["leaves_quantity"] == "9"


def rest_of_close(rig, quantity="4"):
    """Return a bracket of 10 and the order that closes `quantity` of its position, of which 1 has filled."""
    entry = rig.place(take_profit=Target(amount("120")), stop_loss=Protection(amount("80")))
    rig.quote("99", "101", "100", bid_size="1")
    resting = rig.close(quantity=quantity).orders[0].order
    assert resting.filled_quantity == 1
    return entry, resting


def leg_of(rig, entry, role):
    legs = [rig.order(entry._replace(id=row[0])) for row in rig.rows("SELECT id FROM orders")]
    return next(leg for leg in legs if (leg.parent_id, leg.role) == (entry.id, role))


def test_quantity_filled_by_an_exit_is_not_closed_again(rig):
    entry, resting = rest_of_close(rig)
    stop = leg_of(rig, entry, "stop_loss")
    rig.report(stop, Executed(stop.id, "X-1", amount("7"), amount("80"), amount("560"), rig.now))
    assert rig.order(resting).leaves_quantity == 2
    rig.report(stop, Executed(stop.id, "X-2", amount("2"), amount("80"), amount("160"), rig.now))
    assert rig.order(resting).status is Status.CANCELED


def test_rejected_close_leaves_exits_unchanged(engine):
    rig = Rig(engine)
    rig.quote("99", "101", "100")
    entry = rig.place(take_profit=Target(amount("120")), stop_loss=Protection(amount("80")))
    rig.paper = PaperSettings(reject_share=amount("1"))
    rig.restart()
    rig.quote("99", "101", "100")
    assert rig.close().orders[0].order.status is Status.REJECTED
    assert leg_of(rig, entry, "stop_loss").leaves_quantity == 10


def test_entry_is_cancelled_when_its_exits_are_cancelled(rig):
    rig.quote("99", "101", "100", ask_size="4")
    entry = rig.place(type="LIMIT", limit_price="101", stop_loss=Protection(amount("80")))
    rig.quote("102", "103", "102")  # away from the entry, which a sale below its limit would meet
    rig.place(type="MARKET", quantity="2", side="SELL")
    rig.close(quantity="1")
    assert leg_of(rig, entry, "stop_loss").leaves_quantity == 1
    assert rig.order(entry).status is Status.PARTIALLY_FILLED
    rig.close()
    assert rig.order(entry).status is Status.CANCELED
    assert leg_of(rig, entry, "stop_loss").status is Status.CANCELED


def test_entry_ends_when_all_its_exits_are_reduced_to_zero(rig):
    entries = []
    for ask in ("101", "103"):
        rig.quote("99", ask, "100", ask_size="4")
        entries.append(rig.place(type="LIMIT", limit_price=ask, stop_loss=Protection(amount("80"))))
    rig.quote("104", "105", "104")
    rig.close(quantity="5")
    assert [rig.order(entry).status for entry in entries] == [Status.CANCELED, Status.PARTIALLY_FILLED]
    assert [leg_of(rig, entry, "stop_loss").leaves_quantity for entry in entries] == [0, 3]


def test_exits_of_working_entries_are_reduced_last(rig):
    rig.quote("99", "101", "100", ask_size="4")
    open_entry = rig.place(type="LIMIT", limit_price="101", stop_loss=Protection(amount("80")))
    rig.quote("102", "103", "102")
    whole = rig.place(quantity="4", stop_loss=Protection(amount("80")))
    rig.close(quantity="3")
    assert leg_of(rig, open_entry, "stop_loss").leaves_quantity == 4
    assert leg_of(rig, whole, "stop_loss").leaves_quantity == 1
    rig.close(quantity="4")
    assert rig.order(open_entry).status is Status.PARTIALLY_FILLED
    assert leg_of(rig, open_entry, "stop_loss").leaves_quantity == 1


def test_close_creates_a_separate_market_order(rig):
    rig.place()
    closed = rig.close(quantity="4").orders[0].order
    assert (closed.type, closed.role, closed.group_id) == (OrderType.MARKET, Role.CLOSING, None)


def test_partial_closes_together_never_exceed_the_position(market):
    market.order(quantity="100")
    market.quote("AAPL", "99", "101", "100", bid_size="10")
    first, second = close(market, "60"), close(market, "60")
    assert (first["filled_quantity"], second["filled_quantity"]) == ("10", "0")
    market.quote("AAPL", "99", "101", "100")
    assert held(market) == "0"
    assert [market.found(one["id"])["filled_quantity"] for one in (first, second)] == ["60", "40"]


def test_resting_close_is_reduced_by_a_reported_trade(market):
    market.order(quantity="10")
    market.quote("AAPL", "99", "101", "100", bid_size="1")
    cut, ended = close(market, "6"), close(market, "3")
    market.sell("7", "100")
    market.quote("AAPL", "99", "101", "100")
    assert (held(market), market.found(cut["id"])["filled_quantity"]) == ("0", "3")
    assert market.found(ended["id"])["status"] == "CANCELED"


def test_flattening_several_strategies_opens_no_position(rig):
    for strategy in ("Momentum", "Pairs"):
        rig.place(quantity="60", strategy=strategy)
    rig.place(quantity="20", side="SELL")
    rig.quote("99", "101", "100", bid_size="1")
    for strategy in ("Momentum", "Pairs"):
        rig.close(quantity="60", strategy=strategy, ignores_halt=True)
    rig.quote("99", "101", "100")
    assert rig.rows("SELECT quantity FROM positions") in ([("0.00000000",)], [(amount("0"),)])


def test_odd_lot_position_can_be_closed(market):
    market.order(quantity="235")
    terms = {"lot_size": "75", "tick_size": "0.05", "exchange": "NSE", "currency": "USD"}
    answer = market.put("/instruments/AAPL", terms)
    assert answer.status_code in {200, 201}, answer.text
    assert close(market)["status"] == "FILLED"
    assert held(market) == "0"


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
    market.order(side=side, quantity="10")
    for code, value in OPENING_LIMITS:
        limit(market, code, value)
    assert close(market)["status"] == "FILLED"
    assert held(market) == "0"


def test_close_without_a_price_waits_for_a_quote(market):
    market.order(quantity="10")
    assert market.put("/quotes/AAPL", {"bid": None, "ask": "101", "last": None}).status_code == 200
    resting = close(market)
    assert resting["status"] == "ACCEPTED"
    market.quote("AAPL", "99", "101", "100")
    assert (market.found(resting["id"])["status"], held(market)) == ("FILLED", "0")


@pytest.mark.parametrize("side", ["BUY", "SELL"])
def test_close_above_the_maximum_order_quantity_is_split(market, side):
    market.order(side=side, quantity="25")
    limit(market, "MAX_ORDER_QUANTITY", "10")
    closed = close(market)
    parts = [closed, *closed["legs"]]
    assert [(one["quantity"], one["status"]) for one in parts] == [
        ("10", "FILLED"),
        ("10", "FILLED"),
        ("5", "FILLED"),
    ]
    assert {one["parent_id"] for one in closed["legs"]} == {closed["id"]}
    assert held(market) == "0"
    assert len(market.found(closed["id"])["legs"]) == 2


def test_parts_of_a_split_close_are_sent_in_sequence_and_end_together(market):
    market.order(quantity="25", **LEGS)
    limit(market, "MAX_ORDER_QUANTITY", "10")
    market.quote("AAPL", "99", "101", "100", bid_size="12")
    closed = close(market)
    told = [(one["status"], one["filled_quantity"]) for one in [closed, *closed["legs"]]]
    assert told == [("FILLED", "10"), ("PARTIALLY_FILLED", "2"), ("HELD", "0")]
    market.sell("11", "100")  # 2 are left: the second part is cut to them, and nothing is left to the third
    market.quote("AAPL", "99", "101", "100")
    assert [one["status"] for one in market.found(closed["id"])["legs"]] == ["FILLED", "CANCELED"]
    assert held(market) == "0"


def test_cancelled_part_of_a_split_close_cancels_the_waiting_parts(market):
    market.order(quantity="45")
    limit(market, "MAX_ORDER_QUANTITY", "10")
    assert market.put("/quotes/AAPL", {"bid": None, "ask": "101", "last": None}).status_code == 200
    closed = close(market)
    answer = market.patch(f"/orders/{closed['id']}", {"quantity": "46"})
    assert (answer.status_code, answer.json()["denial"]["code"]) == (422, "REDUCE_ONLY")
    changed = market.patch(f"/orders/{closed['id']}", {"quantity": "9"}).json()
    assert [one["status"] for one in changed["legs"]] == ["HELD"] * 4
    assert market.post(f"/orders/{changed['id']}/cancel", {}).status_code == 200
    assert {one["status"] for one in market.found(changed["id"])["legs"]} == {"CANCELED"}
    again = close(market)
    assert len(again["legs"]) == 4


def test_flatten_splits_closes_above_the_maximum_order_quantity(market):
    market.order(quantity="25")
    limit(market, "MAX_ORDER_QUANTITY", "10")
    told = set_switch(market, "HALTED", exits="flatten")
    assert (held(market), told["flattened"]["left"], len(told["flattened"]["closed"])) == ("0", [], 1)


def test_other_risk_checks_apply_to_a_close(market):
    market.order(quantity="25")
    set_switch(market, "HALTED")
    answer = market.post("/positions:close", {"portfolio_name": "Growth", "symbol": "AAPL"})
    assert (answer.status_code, answer.json()["denial"]["code"]) == (422, "HALTED")


@pytest.mark.parametrize(("side", "opposite"), [("BUY", "SELL"), ("SELL", "BUY")])
@pytest.mark.parametrize("by", ["close", "order", "limit"])
def test_smallest_possible_quantity_can_be_closed(market, side, opposite, by):
    """It is worth nothing in 8 decimals."""
    market.quote("DUST", "0.1", "0.1", "0.1")
    market.put("/instruments/DUST", {"tick_size": "0.00000001", "lot_size": "0.00000001"})
    market.trade(symbol="DUST", side=side, quantity="0.00000001", gmv="0.00000001")
    dust = {"symbol": "DUST", "quantity": "0.00000001"}
    if by == "close":
        closed = market.post("/positions:close", {"portfolio_name": "Growth", "symbol": "DUST"}).json()
    elif by == "order":
        closed = market.order(side=opposite, **dust)
    else:
        closed = market.order(side=opposite, type="LIMIT", limit_price="0.1", **dust)
    assert (closed["status"], closed["filled_quantity"]) == ("FILLED", "0.00000001")
    assert market.portfolio()["positions"]["DUST"]["quantity"] == "0"
    opening = market.place(side=side, **dust)  # nothing is opened for nothing
    assert (opening.status_code, opening.json()["denial"]["code"]) == (422, "VALUE_TOO_SMALL")


def test_smallest_possible_close_can_be_reversed(market):
    market.quote("DUST", "0.1", "0.1", "0.1")
    market.put("/instruments/DUST", {"tick_size": "0.00000001", "lot_size": "0.00000001"})
    market.trade(symbol="DUST", quantity="0.00000001", gmv="0.00000001")
    market.post("/positions:close", {"portfolio_name": "Growth", "symbol": "DUST"})
    sale = market.trades()[0]
    assert (sale["side"], sale["gmv"]) == ("SELL", "0.00")
    assert market.reverse(sale["trade_id"]).status_code == 201
    assert market.portfolio()["positions"]["DUST"]["quantity"] == "0.00000001"
