"""A trade that reduces a position also reduces its exits; exits reserve nothing against other orders."""

import pytest

from app.orders.rules.values import Protection, Status
from app.verify import format_report, verify_database
from tests.orders.rig import amount
from tests.orders.test_batches import order, trade
from tests.orders.test_position_closes import LEGS, exits, held, leaves, leg_of
from tests.orders.test_protection import code_of, group, limit
from tests.orders.test_stopping import set_switch

pytestmark = pytest.mark.any_database

SHORT_LEGS = {"take_profit": {"limit_price": "80"}, "stop_loss": {"stop_price": "120"}}
SIDES = [("BUY", "SELL", LEGS), ("SELL", "BUY", SHORT_LEGS)]


def report_trade(api, side, quantity):
    api.trade(side=side, quantity=quantity, gmv=str(100 * int(quantity)))


@pytest.mark.parametrize("reduces", ["order", "trade"])
@pytest.mark.parametrize(("side", "opposite", "legs"), SIDES)
def test_trade_that_reduces_a_position_reduces_its_exits(market, side, opposite, legs, reduces):
    entry = market.order(side=side, quantity="10", **legs)
    for quantity, left in (("4", ("6", "6")), ("6", ("0", "0"))):
        if reduces == "order":
            market.order(side=opposite, quantity=quantity)
        else:
            report_trade(market, opposite, quantity)
        assert leaves(market, entry) == left
    assert {leg["status"] for leg in exits(market, entry).values()} == {"CANCELED"}


def test_reversal_reduces_the_exits(market):
    bought = market.trade(side="BUY", quantity="6", gmv="600")
    entry = market.order(quantity="4", **LEGS)
    market.order(side="SELL", quantity="2")  # 8 are left for exits of 4
    assert leaves(market, entry) == ("4", "4")
    assert market.reverse(bought["trade_id"]).status_code == 201
    assert (held(market), leaves(market, entry)) == ("2", ("2", "2"))


def test_trade_through_zero_cancels_all_exits(market):
    entry = market.order(quantity="10", **LEGS)
    report_trade(market, "SELL", "15")
    assert {leg["status"] for leg in exits(market, entry).values()} == {"CANCELED"}
    assert held(market) == "-5"


def test_exits_of_another_product_are_unchanged(market):
    entry = market.order(quantity="10", product="NRML", **LEGS)
    market.order(quantity="10")
    market.order(side="SELL", quantity="10")
    report_trade(market, "SELL", "1")
    assert leaves(market, entry) == ("10", "10")


def test_exits_of_finished_entries_are_reduced_first_then_the_oldest(rig):
    rig.quote("99", "101", "100", ask_size="4")
    open_entry = rig.place(type="LIMIT", limit_price="101", stop_loss=Protection(amount("80")))
    rig.quote("102", "103", "102")
    oldest, newest = (rig.place(quantity="4", stop_loss=Protection(amount("80"))) for _ in range(2))
    rig.place(side="SELL", quantity="6")
    assert [leg_of(rig, one, "stop_loss").leaves_quantity for one in (open_entry, oldest, newest)] == [
        4,
        0,
        2,
    ]
    rig.place(side="SELL", quantity="6")  # all: the open entry would go on without its exit
    assert rig.order(open_entry).status is Status.CANCELED
    verdict = verify_database(rig.engine)
    assert verdict.clean, list(format_report(verdict, 0))


@pytest.mark.parametrize(("size", "left"), [("10", "6"), ("20", "20")])
def test_oco_pair_is_an_exit_if_not_larger_than_the_position(market, size, left):
    market.order(quantity="10")
    target = {"side": "SELL", "type": "LIMIT", "limit_price": "120", "quantity": size}
    stop = {"side": "SELL", "type": "STOP", "stop_price": "80", "quantity": size}
    pair = group(market, "OCO", target, stop).json()["orders"]
    report_trade(market, "SELL", "4")
    assert [market.found(one["id"])["leaves_quantity"] for one in pair] == [left, left]


def test_closing_oto_child_is_reduced(market):
    follower = {"side": "SELL", "type": "STOP", "stop_price": "90"}
    second = group(market, "OTO", {"side": "BUY", "type": "MARKET"}, follower).json()["orders"][1]
    market.order(side="SELL", quantity="3")
    assert market.found(second["id"])["leaves_quantity"] == "7"


@pytest.mark.parametrize("other", ["AAPL", "MSFT"])
def test_trade_in_a_batch_of_orders_reduces_the_exits(rig, other):
    """Whether the batch has orders of the portfolio or of another one."""
    entry = rig.place(stop_loss=Protection(amount("80")))
    beside = order(rig, type="LIMIT", limit_price="95", symbol=other)
    beside = (
        beside if other == "AAPL" else beside._replace(portfolio_name="Other", portfolio_name_key="other")
    )
    rig.run(beside, trade(rig, "SELL", "4"), trade(rig, "SELL", "1"))
    assert leg_of(rig, entry, "stop_loss").leaves_quantity == 5
    verdict = verify_database(rig.engine)
    assert verdict.clean, list(format_report(verdict, 0))


def test_trades_of_one_batch_reduce_exits_to_the_final_position(rig):
    entry = rig.place(stop_loss=Protection(amount("80")))
    rig.run(trade(rig, "SELL", "4"), trade(rig, "BUY", "1"), trade(rig, "SELL", "5"))
    assert leg_of(rig, entry, "stop_loss").leaves_quantity == 2
    rig.restart()
    rig.quote("99", "101", "100")
    rig.run(trade(rig, "SELL", "1"))
    assert leg_of(rig, entry, "stop_loss").leaves_quantity == 1


@pytest.mark.parametrize(("side", "opposite", "legs"), SIDES)
def test_bracketed_position_can_be_reduced_by_an_order_and_a_trade(market, side, opposite, legs):
    entry = market.order(side=side, quantity="10", **legs)
    set_switch(market, "REDUCING")
    assert code_of(market.place(side=opposite, quantity="11")) == "REDUCING"
    assert market.place(side=opposite, quantity="4").status_code == 201
    report_trade(market, opposite, "3")
    assert leaves(market, entry) == ("3", "3")
    assert market.place(side=opposite, quantity="3").status_code == 201
    assert held(market) == "0"


def test_resting_orders_beside_exits_never_cross_zero_while_reducing(market):
    entry = market.order(quantity="10", **LEGS)
    set_switch(market, "REDUCING")
    plain = market.place(side="SELL", type="LIMIT", limit_price="110", quantity="10").json()
    assert code_of(market.place(side="SELL", type="LIMIT", limit_price="111", quantity="1")) == "REDUCING"
    market.quote("AAPL", "79", "80", "79", bid_size="4")
    assert (held(market), market.found(plain["id"])["leaves_quantity"]) == ("6", "6")
    market.quote("AAPL", "79", "80", "79")
    assert (held(market), market.found(plain["id"])["status"]) == ("0", "CANCELED")
    assert exits(market, entry)["stop_loss"]["status"] == "FILLED"


@pytest.mark.parametrize(("product", "short_selling"), [("CNC", "1"), ("MIS", "0")])
def test_exits_do_not_block_sales_where_short_selling_is_forbidden(market, product, short_selling):
    limit(market, "SHORT_SELLING", short_selling)
    market.order(quantity="10", product=product, **LEGS)
    sold = {"side": "SELL", "type": "LIMIT", "limit_price": "110", "product": product}
    plain = market.place(**sold, quantity="10")
    assert plain.status_code == 201
    assert code_of(market.place(**sold, quantity="1")) == "SHORT_SELLING"
    market.quote("AAPL", "79", "80", "79")
    assert market.found(plain.json()["id"])["status"] == "CANCELED"


def test_exits_are_not_counted_as_shorts_or_twice(market):
    market.order(quantity="10", **LEGS)
    limit(market, "MAX_POSITION_VALUE", "600")
    assert market.place(side="SELL", type="LIMIT", limit_price="100", quantity="16").status_code == 201


def test_plain_order_may_open_a_position_beside_exits(rig):
    rig.place(stop_loss=Protection(amount("80")))
    plain = rig.place(side="SELL", type="LIMIT", limit_price="120", quantity="10")
    rig.quote("79", "80", "79")
    assert rig.order(plain).leaves_quantity == 10
