"""Permissions for orders and reversals: roles, and keys that are restricted to some portfolios."""

RESTING_LIMIT_ORDER = {"type": "LIMIT", "limit_price": "90", "time_in_force": "GTC"}


def test_read_only_key_cannot_place_replace_or_cancel(market):
    order = market.place_order(**RESTING_LIMIT_ORDER)
    reader = market.with_key(market.service.create_key("read", market.tenant_id))
    path = f"/orders/{order['id']}"
    assert reader.post_order().status_code == 403
    assert reader.post(f"{path}/cancel", {}).status_code == 403
    assert reader.patch(path, {"quantity": "5"}).status_code == 403
    assert reader.get_order(order["id"])["status"] == "ACCEPTED"


def test_risk_role_may_cancel_but_not_place_orders(market):
    order = market.place_order(**RESTING_LIMIT_ORDER)
    risk = market.with_key(market.service.create_key("risk", market.tenant_id))
    assert risk.post_order().status_code == 403
    assert risk.post(f"/orders/{order['id']}/cancel", {}).status_code == 200


def create_restricted_client(market, *portfolio_names):
    response = market.post(
        "/api-keys",
        {"name": f"restricted-{len(portfolio_names)}", "scopes": ["trade"], "portfolios": portfolio_names},
    )
    assert response.status_code == 201, response.text
    return market.with_key(response.json()["key"])


def test_restricted_user_sees_no_orders_of_other_portfolios(market):
    other_order = market.place_order(**RESTING_LIMIT_ORDER, portfolio_name="Theirs")
    market.place_order(**RESTING_LIMIT_ORDER, portfolio_name="Mine")
    restricted_client = create_restricted_client(market, "Mine")
    path = f"/orders/{other_order['id']}"
    assert [order["portfolio_name"] for order in restricted_client.get("/orders").json()] == ["Mine"]
    assert restricted_client.get("/orders", portfolio="Theirs").json() == []
    assert restricted_client.get(path).status_code == 404
    assert restricted_client.post(f"{path}/cancel", {}).status_code == 404
    assert restricted_client.patch(path, {"quantity": "5"}).status_code == 404
    assert restricted_client.post_order(portfolio_name="Theirs").status_code == 403
    assert restricted_client.post("/orders:cancel-all", {"portfolio_name": "Theirs"}).status_code == 403
    assert (
        restricted_client.post("/positions:close", {"portfolio_name": "Theirs", "symbol": "AAPL"}).status_code
        == 403
    )
    orders = restricted_client.post("/orders:cancel-all", {}).json()["orders"]
    assert [order["portfolio_name"] for order in orders] == ["Mine"]
    assert market.get_order(other_order["id"])["status"] == "ACCEPTED"


def test_repeated_request_reveals_no_order_the_caller_may_not_see(market):
    order = market.place_order(**RESTING_LIMIT_ORDER, portfolio_name="Theirs")
    market.place_order(portfolio_name="Mine")
    path, changes, key = f"/orders/{order['id']}", {"quantity": "5"}, {"Idempotency-Key": "K"}
    assert market.patch(path, changes, key).status_code == 200
    assert create_restricted_client(market, "Mine").patch(path, changes, key).status_code == 404


def test_conflict_reveals_no_keys_of_other_portfolios_to_restricted_users(market):
    market.record_trade(portfolio_name="Mine")
    market.place_order(key="order-1", portfolio_name="Secret", client_order_id="mine-1")
    market.record_trade(key="trade-1", portfolio_name="Secret")
    restricted_client = create_restricted_client(market, "Mine")
    requests = [
        lambda caller: caller.post_order(key="order-1", portfolio_name="Mine"),
        lambda caller: caller.post_order(key="order-2", portfolio_name="Mine", client_order_id="mine-1"),
        lambda caller: caller.post_trade(key="trade-1", portfolio_name="Mine"),
    ]
    first_responses, repeated_responses = ([send(restricted_client) for send in requests] for _ in range(2))
    assert [
        (response.status_code, response.headers.get("idempotent-replayed")) for response in first_responses
    ] == [(201, None)] * 3
    assert [
        (response.status_code, response.headers["idempotent-replayed"]) for response in repeated_responses
    ] == [(201, "true")] * 3
    assert [send(market).headers["idempotent-replayed"] for send in requests] == ["true"] * 3
    other_requests = (
        market.post_order(key="order-1", portfolio_name="Mine", quantity="7"),
        market.post_trade("trade-1"),
    )
    assert [response.status_code for response in other_requests] == [409, 409]
    assert restricted_client.post_trade(key="trade-1", portfolio_name="Mine", quantity="7").status_code == 409


def test_order_change_reveals_no_keys_of_other_portfolios(market):
    market.record_trade(portfolio_name="Mine")
    secret_order_id = market.place_order(portfolio_name="Secret", type="LIMIT", limit_price="90")["id"]
    changed = market.patch(f"/orders/{secret_order_id}", {"quantity": "5"}, {"Idempotency-Key": "change-1"})
    assert changed.status_code == 200, changed.text
    restricted_client = create_restricted_client(market, "Mine")
    own_order_id = restricted_client.place_order(portfolio_name="Mine", type="LIMIT", limit_price="90")["id"]
    response = restricted_client.patch(
        f"/orders/{own_order_id}", {"quantity": "6"}, {"Idempotency-Key": "change-1"}
    )
    assert (response.status_code, response.json()["quantity"]) == (200, "6")
    reversed_trade_id = market.record_trade(portfolio_name="Secret")["trade_id"]
    assert market.post_reversal(reversed_trade_id, key="undo-1").status_code == 201
    trade_id = restricted_client.record_trade(portfolio_name="Mine")["trade_id"]
    assert restricted_client.post_reversal(trade_id, key="undo-1").status_code == 201
