"""A trade that reduces a position also reduces its exits; exits reserve nothing against other orders."""

import pytest

from app.ledger.service.commands import ReverseTrade
from app.orders.rules.values import Status, StopLoss, TakeProfit
from app.verify import format_report, verify_database
from tests.orders.commands import build_origin_without_key, build_place_order, build_record_trade
from tests.orders.exit_orders import (
    EXIT_TERMS,
    SHORT_EXIT_TERMS,
    get_held_quantity,
    get_leg,
    list_exit_leaves,
    list_exits,
)
from tests.orders.requests import get_denial_code, post_group, set_limit, set_switch
from tests.orders.writer_harness import build_ticket, to_decimal

pytestmark = pytest.mark.any_database

SIDES = [("BUY", "SELL", EXIT_TERMS), ("SELL", "BUY", SHORT_EXIT_TERMS)]


def post_trade(api, side, quantity):
    api.record_trade(side=side, quantity=quantity, gmv=str(100 * int(quantity)))


@pytest.mark.parametrize("reduces", ["order", "trade"])
@pytest.mark.parametrize(("side", "opposite", "legs"), SIDES)
def test_trade_that_reduces_a_position_reduces_its_exits(market, side, opposite, legs, reduces):
    entry = market.place_order(side=side, quantity="10", **legs)
    for quantity, remaining in (("4", ("6", "6")), ("6", ("0", "0"))):
        if reduces == "order":
            market.place_order(side=opposite, quantity=quantity)
        else:
            post_trade(market, opposite, quantity)
        assert list_exit_leaves(market, entry) == remaining
    assert {leg["status"] for leg in list_exits(market, entry).values()} == {"CANCELED"}


def test_reversal_reduces_the_exits(market):
    bought = market.record_trade(side="BUY", quantity="6", gmv="600")
    entry = market.place_order(quantity="4", **EXIT_TERMS)
    market.place_order(side="SELL", quantity="2")  # 8 are left for exits of 4
    assert list_exit_leaves(market, entry) == ("4", "4")
    assert market.post_reversal(bought["trade_id"]).status_code == 201
    assert (get_held_quantity(market), list_exit_leaves(market, entry)) == ("2", ("2", "2"))


def test_trade_through_zero_cancels_all_exits(market):
    entry = market.place_order(quantity="10", **EXIT_TERMS)
    post_trade(market, "SELL", "15")
    assert {leg["status"] for leg in list_exits(market, entry).values()} == {"CANCELED"}
    assert get_held_quantity(market) == "-5"


def test_exits_of_another_product_are_unchanged(market):
    entry = market.place_order(quantity="10", product="NRML", **EXIT_TERMS)
    market.place_order(quantity="10")
    market.place_order(side="SELL", quantity="10")
    post_trade(market, "SELL", "1")
    assert list_exit_leaves(market, entry) == ("10", "10")


def test_exits_of_finished_entries_are_reduced_first_then_the_oldest(harness):
    harness.publish_quote("99", "101", "100", ask_size="4")
    open_entry = harness.place_order(type="LIMIT", limit_price="101", stop_loss=StopLoss(to_decimal("80")))
    harness.publish_quote("102", "103", "102")
    oldest, newest = (
        harness.place_order(quantity="4", stop_loss=StopLoss(to_decimal("80"))) for _ in range(2)
    )
    harness.place_order(side="SELL", quantity="6")
    assert [
        get_leg(harness, entry, "stop_loss").leaves_quantity for entry in (open_entry, oldest, newest)
    ] == [
        4,
        0,
        2,
    ]
    harness.place_order(side="SELL", quantity="6")  # all: the open entry would go on without its exit
    assert harness.get_order(open_entry).status is Status.CANCELED
    result = verify_database(harness.engine)
    assert result.is_clean, list(format_report(result, 0))


@pytest.mark.parametrize(("size", "remaining"), [("10", "6"), ("20", "20")])
def test_oco_pair_is_an_exit_if_not_larger_than_the_position(market, size, remaining):
    market.place_order(quantity="10")
    target = {"side": "SELL", "type": "LIMIT", "limit_price": "120", "quantity": size}
    stop = {"side": "SELL", "type": "STOP", "stop_price": "80", "quantity": size}
    pair_orders = post_group(market, "OCO", target, stop).json()["orders"]
    post_trade(market, "SELL", "4")
    assert [market.get_order(order["id"])["leaves_quantity"] for order in pair_orders] == [
        remaining,
        remaining,
    ]


def test_closing_oto_child_is_reduced(market):
    follower = {"side": "SELL", "type": "STOP", "stop_price": "90"}
    second = post_group(market, "OTO", {"side": "BUY", "type": "MARKET"}, follower).json()["orders"][1]
    market.place_order(side="SELL", quantity="3")
    assert market.get_order(second["id"])["leaves_quantity"] == "7"


def test_closing_oto_child_that_fills_at_once_is_reduced_first(harness):
    harness.place_order(side="SELL", quantity="12")
    buy = {"type": "LIMIT", "limit_price": "107"}
    first, second = harness.place_pair(
        "OTO", build_ticket(quantity="5", **buy), build_ticket(quantity="12", **buy)
    )
    assert [harness.get_order(order_id).filled_quantity for order_id in (first, second)] == [5, 7]
    [(position_quantity,)] = harness.query("SELECT quantity FROM positions")
    assert to_decimal(position_quantity) == 0


@pytest.mark.parametrize("other", ["AAPL", "MSFT"])
def test_trade_in_a_batch_of_orders_reduces_the_exits(harness, other):
    """Whether the batch has orders of the portfolio or of another one."""
    entry = harness.place_order(stop_loss=StopLoss(to_decimal("80")))
    beside = build_place_order(harness, type="LIMIT", limit_price="95", symbol=other)
    beside = (
        beside if other == "AAPL" else beside._replace(portfolio_name="Other", portfolio_name_key="other")
    )
    harness.run(beside, build_record_trade(harness, "SELL", "4"), build_record_trade(harness, "SELL", "1"))
    assert get_leg(harness, entry, "stop_loss").leaves_quantity == 5
    result = verify_database(harness.engine)
    assert result.is_clean, list(format_report(result, 0))


def test_trade_and_reversal_beside_orders_of_another_portfolio_cancel_and_restore_a_pair(harness):
    exits = {"take_profit": TakeProfit(to_decimal("120")), "stop_loss": StopLoss(to_decimal("80"))}
    entry = harness.place_order(**exits)

    def run_beside_an_order(command):
        order = build_place_order(harness, type="LIMIT", limit_price="95", symbol="MSFT")
        order = order._replace(portfolio_name="Other", portfolio_name_key="other")
        return harness.run(order, command)[1]

    trade = run_beside_an_order(build_record_trade(harness, "SELL", "15"))
    assert {get_leg(harness, entry, role).status for role in exits} == {Status.CANCELED}
    run_beside_an_order(ReverseTrade(build_origin_without_key(harness), trade.row.trade_id, "Twice"))
    restored = harness.query(
        "SELECT role, quantity FROM orders WHERE symbol = 'AAPL' AND status = 'ACCEPTED'"
    )
    assert {(role, to_decimal(quantity)) for role, quantity in restored} == {
        (role, to_decimal("10")) for role in exits
    }


def test_trades_of_one_batch_reduce_exits_to_the_final_position(harness):
    entry = harness.place_order(stop_loss=StopLoss(to_decimal("80")))
    harness.run(
        build_record_trade(harness, "SELL", "4"),
        build_record_trade(harness, "BUY", "1"),
        build_record_trade(harness, "SELL", "5"),
    )
    assert get_leg(harness, entry, "stop_loss").leaves_quantity == 2
    harness.restart()
    harness.publish_quote("99", "101", "100")
    harness.run(build_record_trade(harness, "SELL", "1"))
    assert get_leg(harness, entry, "stop_loss").leaves_quantity == 1


@pytest.mark.parametrize(("side", "opposite", "legs"), SIDES)
def test_bracketed_position_can_be_reduced_by_an_order_and_a_trade(market, side, opposite, legs):
    entry = market.place_order(side=side, quantity="10", **legs)
    set_switch(market, "REDUCING")
    assert get_denial_code(market.post_order(side=opposite, quantity="11")) == "REDUCING"
    assert market.post_order(side=opposite, quantity="4").status_code == 201
    post_trade(market, opposite, "3")
    assert list_exit_leaves(market, entry) == ("3", "3")
    assert market.post_order(side=opposite, quantity="3").status_code == 201
    assert get_held_quantity(market) == "0"


def test_resting_orders_beside_exits_never_cross_zero_while_reducing(market):
    entry = market.place_order(quantity="10", **EXIT_TERMS)
    set_switch(market, "REDUCING")
    plain = market.post_order(side="SELL", type="LIMIT", limit_price="110", quantity="10").json()
    assert (
        get_denial_code(market.post_order(side="SELL", type="LIMIT", limit_price="111", quantity="1"))
        == "REDUCING"
    )
    market.set_quote("AAPL", "79", "80", "79", bid_size="4")
    assert (get_held_quantity(market), market.get_order(plain["id"])["leaves_quantity"]) == ("6", "6")
    market.set_quote("AAPL", "79", "80", "79")
    assert (get_held_quantity(market), market.get_order(plain["id"])["status"]) == ("0", "CANCELED")
    assert list_exits(market, entry)["stop_loss"]["status"] == "FILLED"


@pytest.mark.parametrize(("product", "short_selling"), [("CNC", "1"), ("MIS", "0")])
def test_exits_do_not_block_sales_where_short_selling_is_forbidden(market, product, short_selling):
    set_limit(market, "SHORT_SELLING", short_selling)
    market.place_order(quantity="10", product=product, **EXIT_TERMS)
    sold = {"side": "SELL", "type": "LIMIT", "limit_price": "110", "product": product}
    plain = market.post_order(**sold, quantity="10")
    assert plain.status_code == 201
    assert get_denial_code(market.post_order(**sold, quantity="1")) == "SHORT_SELLING"
    market.set_quote("AAPL", "79", "80", "79")
    assert market.get_order(plain.json()["id"])["status"] == "CANCELED"


def test_exits_are_not_counted_as_shorts_or_twice(market):
    market.place_order(quantity="10", **EXIT_TERMS)
    set_limit(market, "MAX_POSITION_VALUE", "600")
    assert market.post_order(side="SELL", type="LIMIT", limit_price="100", quantity="16").status_code == 201


def test_plain_order_may_open_a_position_beside_exits(harness):
    harness.place_order(stop_loss=StopLoss(to_decimal("80")))
    plain = harness.place_order(side="SELL", type="LIMIT", limit_price="120", quantity="10")
    harness.publish_quote("79", "80", "79")
    assert harness.get_order(plain).leaves_quantity == 10
