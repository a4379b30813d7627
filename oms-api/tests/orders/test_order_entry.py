"""POST /orders: from a ticket to a fill, durable when 201 is answered."""

from dataclasses import replace

import pytest
from sqlalchemy import text

from app.events.rules import unpack_outbox_events

REPLAYED = "Idempotent-Replayed"


def list_statuses(api, order_id):
    return [event["to_status"] for event in api.get_order(order_id)["events"]]


def test_market_order_fills_at_the_opposite_quote_side(market):
    order = market.place_order(side="BUY", quantity="10")
    assert (order["status"], order["filled_quantity"], order["leaves_quantity"]) == ("FILLED", "10", "0")
    assert order["average_price"] == "101.00"
    position = market.get_portfolio()["positions"]["AAPL"]
    assert (position["quantity"], position["avg_cost"]) == ("10", "101.00")
    sold = market.place_order(side="SELL", quantity="4")
    assert sold["average_price"] == "99.00"
    assert market.get_portfolio()["cash"] == "999386.00"


def test_order_shows_its_history_and_fills(market):
    order = market.place_order(reason="Earnings", user_id="U1", strategy="mean-reversion")
    order_body = market.get_order(order["id"])
    assert list_statuses(market, order["id"]) == ["INITIALIZED", "SUBMITTED", "ACCEPTED", "FILLED"]
    assert [event["sequence"] for event in order_body["events"]] == [1, 2, 3, 4]
    (fill,) = order_body["fills"]
    assert (fill["quantity"], fill["price"], fill["value"]) == ("10", "101.00", "1010.00")
    (trade,) = market.list_trades()
    assert trade["trade_id"] == fill["trade_id"]
    assert (trade["gmv"], trade["user_id"], trade["note"]) == ("1010.00", "U1", "Earnings")
    assert {name: order_body[name] for name in order} == order


def test_fill_names_its_order(market):
    order = market.place_order()
    with market.service.open_connection() as connection:
        statement = text("SELECT order_id FROM trades WHERE tenant_id = :tenant")
        assert connection.execute(statement, {"tenant": market.tenant_id}).scalars().all() == [order["id"]]


def test_every_status_change_and_fill_is_written_to_the_outbox(market):
    market.place_order()
    with market.service.open_connection() as connection:
        statement = text("SELECT type, payload, following FROM events WHERE tenant_id = :tenant")
        rows = connection.execute(statement, {"tenant": market.tenant_id}).all()
    assert [[kind for kind, _ in unpack_outbox_events(*row)] for row in rows] == [
        ["order.initialized", "order.submitted", "order.accepted", "trade.recorded", "position.changed",
         "order.filled"]
    ]  # fmt: skip
    assert [event["type"] for event in market.get("/events", limit="2").json()] == [
        "order.filled",
        "position.changed",
    ]


def test_filled_market_order_writes_seven_rows(market):
    def count():
        with market.service.open_connection() as connection:
            tables = ("orders", "order_events", "executions", "trades", "positions", "events", "portfolios")
            return sum(
                connection.execute(
                    text(f"SELECT count(*) FROM {table} WHERE tenant_id = :tenant"),  # noqa: S608  # named above
                    {"tenant": market.tenant_id},
                ).scalar_one()
                for table in tables
            )

    before = count()
    order = market.place_order()
    assert count() - before == 6  # and the portfolio is updated
    history = market.get(f"/orders/{order['id']}").json()["events"]
    assert [row["to_status"] for row in history] == ["INITIALIZED", "SUBMITTED", "ACCEPTED", "FILLED"]
    assert [row["sequence"] for row in history] == [1, 2, 3, 4]


def test_time_in_force_defaults_to_day(market):
    order = market.place_order(type="LIMIT", limit_price="90")
    assert (order["time_in_force"], order["status"]) == ("DAY", "ACCEPTED")
    assert order["client_order_id"]


def test_order_type_aliases_are_accepted(market):
    assert market.place_order(type="SL-M", stop_price="120")["type"] == "STOP"
    assert market.place_order(type="SL", stop_price="120", limit_price="121")["type"] == "STOP_LIMIT"


def test_notional_order_is_sized_at_the_ask(market):
    market.put("/instruments/AAPL", {"tick_size": "0.01", "lot_size": "1"})
    order = market.place_order(quantity=None, notional="1000")
    assert (order["quantity"], order["status"], order["notional"]) == ("9", "FILLED", "1000.00")


def test_notional_below_one_lot_is_denied(market):
    market.put("/instruments/AAPL", {"tick_size": "0.01", "lot_size": "1"})
    response = market.post_order(quantity=None, notional="100")
    assert response.status_code == 422
    assert response.json()["denial"]["code"] == "NO_QUANTITY"


def test_fractional_quantity_is_filled(market):
    assert market.place_order(quantity="0.123")["filled_quantity"] == "0.123"


def test_denied_order_is_stored_with_the_numbers_of_its_denial(market):
    response = market.post_order(quantity="2000000")
    problem = response.json()
    assert (response.status_code, problem["type"]) == (422, "urn:slackoms:problem/order-denied")
    denial = problem["denial"]
    assert denial["code"] == "MAX_ORDER_QUANTITY"
    assert (denial["limit"], denial["asked"]) == ("1000000", "2000000")
    order = market.get_order(problem["order_id"])
    assert (order["status"], order["denial"]) == ("DENIED", denial)
    largest = market.post_order(quantity=denial["largest_passing"])
    assert largest.status_code == 201, largest.text
    assert market.post_order(quantity=str(float(denial["largest_passing"]) + 1)).status_code == 422


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
def test_invalid_ticket_creates_no_order(market, changes, field):
    response = market.post_order(**changes)
    assert response.status_code == 422, response.text
    assert field in {error["field"] for error in response.json()["errors"]}, response.text
    assert market.get("/orders").json() == []


def test_same_client_order_id_returns_the_same_order(market):
    first = market.post_order(client_order_id="abc-1")
    again = market.post_order(client_order_id="abc-1")
    assert (first.status_code, again.status_code) == (201, 201)
    assert first.json() == again.json()
    assert (REPLAYED in first.headers, again.headers[REPLAYED]) == (False, "true")
    assert len(market.list_trades()) == 1


def test_same_client_order_id_with_another_ticket_conflicts(market):
    market.place_order(client_order_id="abc-1")
    response = market.post_order(client_order_id="abc-1", quantity="11")
    assert (response.status_code, response.json()["type"]) == (
        409,
        "urn:slackoms:problem/client-order-id-reused",
    )
    assert len(market.list_trades()) == 1


def test_same_idempotency_key_returns_the_same_order(market):
    first, again = market.post_order("K"), market.post_order("K")
    assert first.json() == again.json()
    assert again.headers[REPLAYED] == "true"
    assert market.post_order("K", quantity="11").status_code == 409
    assert len(market.list_trades()) == 1


def test_denied_order_binds_its_idempotency_key(market):
    first, again = market.post_order("K", quantity="2000000"), market.post_order("K", quantity="2000000")
    assert (first.status_code, again.status_code) == (422, 422)
    assert first.json()["order_id"] == again.json()["order_id"]


def test_malformed_request_binds_no_idempotency_key(market):
    assert market.post_order("K", type="LIMIT").status_code == 422
    assert market.post_order("K", type="LIMIT", limit_price="90").status_code == 201


def test_market_order_without_a_price_is_denied(api, serve):
    with serve(price_source="manual") as service:
        response = service.create_client().post_order()
    assert response.json()["denial"]["code"] == "NO_REFERENCE_PRICE"


def test_order_of_another_tenant_is_not_found(market, service):
    order = market.place_order()
    other = service.create_client()
    assert other.get(f"/orders/{order['id']}").status_code == 404
    assert other.post(f"/orders/{order['id']}/cancel", {}).status_code == 404
    assert other.patch(f"/orders/{order['id']}", {"quantity": "5"}).status_code == 404
    assert other.get("/orders").json() == []


def test_read_only_key_cannot_place_orders(market):
    reader = market.service.create_key("read", market.tenant_id)
    assert replace(market, key=reader).post_order().status_code == 403


def test_largest_passing_quantity_of_a_replacement_is_a_total(market):
    market.set_quote("AAPL", "99", "101", "100", ask_size="30")
    order = market.place_order(quantity="100", type="LIMIT", limit_price="101")
    assert order["filled_quantity"] == "30"
    limit = {"scope": "portfolio", "name": "Growth", "code": "MAX_ORDER_QUANTITY", "value": "50"}
    assert market.put("/limits", limit).status_code == 200
    response = market.patch(f"/orders/{order['id']}", {"quantity": "200"})
    assert response.status_code == 422, response.text
    denial = response.json()["denial"]
    assert (denial["asked"], denial["largest_passing"]) == ("200", "50")  # 30 filled, 20 more
    assert market.patch(f"/orders/{order['id']}", {"quantity": "51"}).status_code == 422
    assert market.patch(f"/orders/{order['id']}", {"quantity": "50"}).status_code == 200
