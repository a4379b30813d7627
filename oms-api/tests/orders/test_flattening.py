"""Flattening: which positions are closed, how long it waits, and how the result is reported."""

from decimal import Decimal

import pytest
from sqlalchemy import text

from app.errors import Unavailable
from app.ledger.rules.keys import PositionKey
from app.orders.queries.open_positions import PositionToClose
from app.orders.service.kill_switch_orders import KillSwitchOrders, compute_strategy_shares
from tests.orders.requests import set_switch

pytestmark = pytest.mark.any_database


def list_positions(market, portfolio="Growth"):
    return {
        symbol: position["quantity"]
        for symbol, position in market.get_portfolio(portfolio)["positions"].items()
    }


def post_flatten(market, scope="tenant", name=None, key=None):
    body = {"scope": scope, "name": name, "state": "HALTED", "flatten": True}
    response = market.post("/kill-switch", body, {"Idempotency-Key": key} if key else None)
    assert response.status_code == 200, response.text
    return response.json()["flattened"]


def test_close_without_a_price_waits_for_a_quote(market):
    market.set_quote("NEW", None, "11", None)  # nobody bids
    market.record_trade(symbol="NEW", quantity="5", gmv="50")
    proof = post_flatten(market)
    order = market.get_order(proof["closed"][0])
    assert (order["status"], order["time_in_force"], order["type"]) == ("ACCEPTED", "GTC", "MARKET")
    assert [(row["symbol"], row["quantity"]) for row in proof["left"]] == [("NEW", "5")]
    market.set_quote("NEW", "9", "11", "10")
    assert market.get_order(order["id"])["status"] == "FILLED"
    assert list_positions(market)["NEW"] == "0"


def test_repeated_flatten_sends_no_second_close(market):
    market.set_quote("NEW", None, "11", None)  # nobody bids
    market.record_trade(symbol="NEW", quantity="5", gmv="50")
    [first], [second] = post_flatten(market)["closed"], post_flatten(market)["closed"]
    assert market.get_order(first)["status"] == "CANCELED"
    market.set_quote("NEW", "9", "11", "10")
    assert (market.get_order(second)["status"], list_positions(market)["NEW"]) == ("FILLED", "0")


def test_flatten_with_an_idempotency_key_closes_every_position(market):
    market.place_order(quantity="10")
    market.place_order(symbol="MSFT", side="SELL", quantity="3")
    market.place_order(quantity="4", portfolio_name="Other")
    proof = post_flatten(market, key="flatten-1")
    assert (len(proof["closed"]), proof["left"]) == (3, [])


def test_strategy_flatten_closes_only_its_share_of_each_position(market):
    market.place_order(quantity="10")
    market.place_order(quantity="7", strategy="momentum")
    market.place_order(quantity="2", side="SELL", strategy="momentum")
    market.place_order(quantity="4", portfolio_name="Other", strategy="momentum")
    market.place_order(symbol="MSFT", quantity="3", strategy="carry")
    resting = market.place_order(type="LIMIT", limit_price="90", strategy="momentum")
    proof = post_flatten(market, "strategy", "momentum")
    assert (proof["canceled"], len(proof["closed"]), proof["left"]) == ([resting["id"]], 2, [])
    closes = [market.get_order(order_id) for order_id in proof["closed"]]
    orders = [
        (close["portfolio_name"], close["side"], close["quantity"], close["strategy"]) for close in closes
    ]
    assert orders == [("Growth", "SELL", "5", "momentum"), ("Other", "SELL", "4", "momentum")]
    assert list_positions(market) == {"AAPL": "10", "MSFT": "3"}
    assert list_positions(market, "Other") == {"AAPL": "0"}
    again = post_flatten(market, "strategy", "momentum")
    assert (again["closed"], again["left"]) == ([], [])


def test_strategy_flatten_buys_back_a_short(market):
    market.place_order(quantity="7", side="SELL", strategy="momentum")
    market.place_order(quantity="1", side="SELL")
    [order_id] = post_flatten(market, "strategy", "momentum")["closed"]
    closed = market.get_order(order_id)
    assert (closed["side"], closed["quantity"], list_positions(market)["AAPL"]) == ("BUY", "7", "-1")


def test_strategy_flatten_never_exceeds_or_reverses_the_position(market):
    market.place_order(quantity="10", strategy="momentum")
    market.place_order(quantity="6", side="SELL")
    assert [
        market.get_order(order_id)["quantity"]
        for order_id in post_flatten(market, "strategy", "momentum")["closed"]
    ] == ["4"]
    set_switch(market, "ACTIVE", scope="strategy", name="momentum")
    market.place_order(quantity="3", side="SELL", strategy="reversal")
    market.place_order(quantity="8")
    assert post_flatten(market, "strategy", "reversal") == {"canceled": [], "closed": [], "left": []}
    assert list_positions(market)["AAPL"] == "5"


def test_flatten_keeps_products_separate(market):
    market.place_order(quantity="10", product="CNC", strategy="momentum")
    market.place_order(quantity="4", product="MIS")
    [order_id] = post_flatten(market, "strategy", "momentum")["closed"]
    assert market.get_order(order_id)["product"] == "CNC"
    [remaining] = market.get("/positions").json()
    assert (remaining["product"], remaining["quantity"]) == ("MIS", "4")


def test_strategy_flatten_reports_the_quantity_not_yet_closed(market):
    market.place_order(quantity="7", strategy="momentum")
    market.place_order(quantity="3")
    assert market.put("/quotes/AAPL", {"bid": None, "ask": "101", "last": None}).status_code == 200
    proof = post_flatten(market, "strategy", "momentum")
    assert [(row["symbol"], row["quantity"]) for row in proof["left"]] == [("AAPL", "7")]
    assert market.get_order(proof["closed"][0])["status"] == "ACCEPTED"


@pytest.mark.parametrize(
    ("position", "net", "share"),
    [
        ("10", "4", "4"),
        ("3", "4", "3"),
        ("-5", "-8", "-5"),
        ("-5", "-2", "-2"),
        ("5", "-2", None),
        ("5", "0", None),
    ],
)
def test_strategy_share_of_a_position_is_computed(position, net, share):
    whole = PositionToClose(1, "Growth", "AAPL", "", Decimal(position))
    portions = compute_strategy_shares(1, [whole], {PositionKey(1, 1, "AAPL", ""): Decimal(net)})
    assert [portion.quantity for portion in portions] == ([] if share is None else [Decimal(share)])


def test_fill_carries_the_request_id_that_caused_it(market):
    body = {"portfolio_name": "Growth", "symbol": "AAPL", "side": "BUY", "quantity": "10", "type": "MARKET"}
    assert market.post("/orders", body, {"X-Request-ID": "the-market-order"}).status_code == 201
    resting = body | {"type": "LIMIT", "limit_price": "90"}
    assert market.post("/orders", resting, {"X-Request-ID": "the-limit-order"}).status_code == 201
    market.set_quote("AAPL", "89", "90", "90")
    assert list_request_ids(market) == ["the-market-order", None]


def list_request_ids(market):
    statement = "SELECT request_id FROM trades WHERE tenant_id = :tenant ORDER BY sequence"
    with market.service.open_connection() as connection:
        return list(connection.execute(text(statement), {"tenant": market.tenant_id}).scalars())


def test_interrupted_flatten_continues_under_its_idempotency_key(market, monkeypatch):
    market.buy("10", "100")
    with monkeypatch.context() as patched:

        async def nothing(*_):
            raise Unavailable("The database is away.")

        patched.setattr(KillSwitchOrders, "_list_positions", nothing)
        body = {"scope": "tenant", "state": "HALTED", "flatten": True}
        assert market.post("/kill-switch", body, {"Idempotency-Key": "F"}).status_code == 503
    assert len(post_flatten(market, key="F")["closed"]) == 1
    market.post("/kill-switch", {"scope": "tenant", "state": "ACTIVE"})
    market.buy("10", "100")
    assert post_flatten(market, key="F") is None  # a position that was bought on purpose since then is kept
    assert market.get("/positions").json()[0]["quantity"] == "10"
