"""POST /orders: from a ticket to a fill, durable when 201 is answered."""

from dataclasses import replace

import pytest
from sqlalchemy import text

REPLAYED = "Idempotent-Replayed"


def statuses(api, order_id):
    return [event["to_status"] for event in api.found(order_id)["events"]]


def test_a_market_order_fills_at_the_other_side(market):
    order = market.order(side="BUY", quantity="10")
    assert (order["status"], order["filled_quantity"], order["leaves_quantity"]) == ("FILLED", "10", "0")
    assert order["average_price"] == "101.00"
    held = market.portfolio()["positions"]["AAPL"]
    assert (held["quantity"], held["avg_cost"]) == ("10", "101.00")
    sold = market.order(side="SELL", quantity="4")
    assert sold["average_price"] == "99.00"
    assert market.portfolio()["cash"] == "999386.00"


def test_an_order_tells_its_history_and_its_fills(market):
    order = market.order(reason="Earnings", user_id="U1", strategy="mean-reversion")
    found = market.found(order["id"])
    assert statuses(market, order["id"]) == ["INITIALIZED", "SUBMITTED", "ACCEPTED", "FILLED"]
    assert [event["sequence"] for event in found["events"]] == [1, 2, 3, 4]
    (fill,) = found["fills"]
    assert (fill["quantity"], fill["price"], fill["value"]) == ("10", "101.00", "1010.00")
    (trade,) = market.trades()
    assert trade["trade_id"] == fill["trade_id"]
    assert (trade["gmv"], trade["user_id"], trade["note"]) == ("1010.00", "U1", "Earnings")
    assert {name: found[name] for name in order} == order


def test_a_fill_says_which_order_it_is_of(market):
    order = market.order()
    with market.service.reading() as connection:
        statement = text("SELECT order_id FROM trades WHERE tenant_id = :tenant")
        assert connection.execute(statement, {"tenant": market.tenant_id}).scalars().all() == [order["id"]]


def test_every_move_and_every_fill_is_told_in_the_outbox(market):
    market.order()
    with market.service.reading() as connection:
        statement = text("SELECT type FROM events WHERE tenant_id = :tenant ORDER BY id")
        told = connection.execute(statement, {"tenant": market.tenant_id}).scalars().all()
    assert sorted(told) == sorted(
        ["order.initialized", "order.submitted", "order.accepted", "order.filled", "trade.recorded",
         "position.changed"]
    )  # fmt: skip


def test_a_ticket_defaults_to_the_day(market):
    order = market.order(type="LIMIT", limit_price="90")
    assert (order["time_in_force"], order["status"]) == ("DAY", "ACCEPTED")
    assert order["client_order_id"]


def test_aliases_of_types(market):
    assert market.order(type="SL-M", stop_price="120")["type"] == "STOP"
    assert market.order(type="SL", stop_price="120", limit_price="121")["type"] == "STOP_LIMIT"


def test_a_notional_order_buys_what_its_value_buys_at_the_ask(market):
    market.put("/instruments/AAPL", {"tick_size": "0.01", "lot_size": "1"})
    order = market.order(quantity=None, notional="1000")
    assert (order["quantity"], order["status"], order["notional"]) == ("9", "FILLED", "1000.00")


def test_a_notional_that_buys_no_lot_is_denied(market):
    market.put("/instruments/AAPL", {"tick_size": "0.01", "lot_size": "1"})
    answer = market.place(quantity=None, notional="100")
    assert answer.status_code == 422
    assert answer.json()["denial"]["code"] == "NO_QUANTITY"


def test_fractions_trade(market):
    assert market.order(quantity="0.123")["filled_quantity"] == "0.123"


def test_what_risk_denies_is_kept_and_told_with_its_numbers(market):
    answer = market.place(quantity="2000000")
    problem = answer.json()
    assert (answer.status_code, problem["type"]) == (422, "urn:slackoms:problem/order-denied")
    denial = problem["denial"]
    assert denial["code"] == "MAX_ORDER_QUANTITY"
    assert (denial["limit"], denial["asked"]) == ("1000000", "2000000")
    kept = market.found(problem["order_id"])
    assert (kept["status"], kept["denial"]) == ("DENIED", denial)
    largest = market.place(quantity=denial["largest_passing"])
    assert largest.status_code == 201, largest.text
    assert market.place(quantity=str(float(denial["largest_passing"]) + 1)).status_code == 422


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"type": "LIMIT"}, "limit_price"),
        ({"type": "MARKET", "limit_price": "1"}, "limit_price"),
        ({"type": "STOP"}, "stop_price"),
        ({"type": "TRAILING_STOP"}, "trail_amount"),
        ({"type": "TRAILING_STOP", "trail_amount": "1", "trail_percent": "1"}, "trail_amount"),
        ({"type": "TRAILING_STOP", "trail_percent": "100"}, "trail_percent"),
        ({"notional": "5"}, "quantity"),
        ({"quantity": None}, "quantity"),
        ({"quantity": None, "notional": "5", "type": "STOP", "stop_price": "1"}, "notional"),
        ({"time_in_force": "GTD"}, "expires_at"),
        ({"expires_at": "2030-01-01T00:00:00Z"}, "expires_at"),
        ({"time_in_force": "GTD", "expires_at": "2020-01-01T00:00:00Z"}, "expires_at"),
        ({"type": "STOP", "stop_price": "1", "time_in_force": "OPG"}, "time_in_force"),
        ({"type": "NONSENSE"}, "type"),
        ({"type": 7}, "type"),
        ({"expires_at": 7}, "expires_at"),
        ({"time_in_force": "NOW"}, "time_in_force"),
        ({"extended_hours": "yes"}, "extended_hours"),
        ({"client_order_id": ""}, "client_order_id"),
        ({"client_order_id": "é"}, "client_order_id"),
        ({"status": "FILLED"}, "status"),
        ({"tenant_id": 1}, "tenant_id"),
        ({"product": "XYZ"}, "product"),
        ({"take_profit": {"limit_price": "1"}, "stop_loss": {"stop_price": "2"}}, "stop_loss.stop_price"),
    ],
)
def test_a_ticket_of_the_wrong_shape_makes_no_order(market, changes, field):
    answer = market.place(**changes)
    assert answer.status_code == 422, answer.text
    assert field in {error["field"] for error in answer.json()["errors"]}, answer.text
    assert market.get("/orders").json() == []


def test_the_same_client_order_id_gives_the_same_order(market):
    first = market.place(client_order_id="abc-1")
    again = market.place(client_order_id="abc-1")
    assert (first.status_code, again.status_code) == (201, 201)
    assert first.json() == again.json()
    assert (REPLAYED in first.headers, again.headers[REPLAYED]) == (False, "true")
    assert len(market.trades()) == 1


def test_the_same_client_order_id_with_another_ticket_conflicts(market):
    market.order(client_order_id="abc-1")
    answer = market.place(client_order_id="abc-1", quantity="11")
    assert (answer.status_code, answer.json()["type"]) == (
        409,
        "urn:slackoms:problem/client-order-id-reused",
    )
    assert len(market.trades()) == 1


def test_the_same_idempotency_key_gives_the_same_order(market):
    first, again = market.place("K"), market.place("K")
    assert first.json() == again.json()
    assert again.headers[REPLAYED] == "true"
    assert market.place("K", quantity="11").status_code == 409
    assert len(market.trades()) == 1


def test_a_denied_order_binds_its_key_too(market):
    first, again = market.place("K", quantity="2000000"), market.place("K", quantity="2000000")
    assert (first.status_code, again.status_code) == (422, 422)
    assert first.json()["order_id"] == again.json()["order_id"]


def test_a_malformed_request_binds_no_key(market):
    assert market.place("K", type="LIMIT").status_code == 422
    assert market.place("K", type="LIMIT", limit_price="90").status_code == 201


def test_no_price_no_order(api, serve):
    with serve(price_source="manual") as service:
        answer = service.api().place()
    assert answer.json()["denial"]["code"] == "NO_REFERENCE_PRICE"


def test_an_order_of_another_tenant_is_not_there(market, service):
    order = market.order()
    other = service.api()
    assert other.get(f"/orders/{order['id']}").status_code == 404
    assert other.post(f"/orders/{order['id']}/cancel", {}).status_code == 404
    assert other.patch(f"/orders/{order['id']}", {"quantity": "5"}).status_code == 404
    assert other.get("/orders").json() == []


def test_a_reader_places_nothing(market):
    reader = market.service.mint("read", market.tenant_id)
    assert replace(market, key=reader).place().status_code == 403


def test_the_largest_passing_of_a_replacement_is_a_total(market):
    market.quote("AAPL", "99", "101", "100", ask_size="30")
    order = market.order(quantity="100", type="LIMIT", limit_price="101")
    assert order["filled_quantity"] == "30"
    limit = {"scope": "portfolio", "name": "Growth", "code": "MAX_ORDER_QUANTITY", "value": "50"}
    assert market.put("/limits", limit).status_code == 200
    answer = market.patch(f"/orders/{order['id']}", {"quantity": "200"})
    assert answer.status_code == 422, answer.text
    denial = answer.json()["denial"]
    assert (denial["asked"], denial["largest_passing"]) == ("200", "50")  # 30 filled, 20 more
    assert market.patch(f"/orders/{order['id']}", {"quantity": "51"}).status_code == 422
    assert market.patch(f"/orders/{order['id']}", {"quantity": "50"}).status_code == 200
