"""Permissions for orders: roles, users with access to some portfolios, and message rates."""

from tests.factories import build_ticket_body

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


def create_narrow_client(market, *names):
    response = market.post(
        "/api-keys", {"name": f"narrow-{len(names)}", "scopes": ["trade"], "portfolios": names}
    )
    assert response.status_code == 201, response.text
    return market.with_key(response.json()["key"])


def test_restricted_user_sees_no_orders_of_other_portfolios(market):
    other_order = market.place_order(**RESTING_LIMIT_ORDER, portfolio_name="Theirs")
    market.place_order(**RESTING_LIMIT_ORDER, portfolio_name="Mine")
    me = create_narrow_client(market, "Mine")
    path = f"/orders/{other_order['id']}"
    assert [order["portfolio_name"] for order in me.get("/orders").json()] == ["Mine"]
    assert me.get("/orders", portfolio="Theirs").json() == []
    assert me.get(path).status_code == 404
    assert me.post(f"{path}/cancel", {}).status_code == 404
    assert me.patch(path, {"quantity": "5"}).status_code == 404
    assert me.post_order(portfolio_name="Theirs").status_code == 403
    assert me.post("/orders:cancel-all", {"portfolio_name": "Theirs"}).status_code == 403
    assert me.post("/positions:close", {"portfolio_name": "Theirs", "symbol": "AAPL"}).status_code == 403
    orders = me.post("/orders:cancel-all", {}).json()["orders"]
    assert [order["portfolio_name"] for order in orders] == ["Mine"]
    assert market.get_order(other_order["id"])["status"] == "ACCEPTED"


def test_order_above_the_message_rate_is_not_created(market):
    limit = {"scope": "tenant", "name": None, "code": "MESSAGES_PER_MINUTE", "value": "3", "until": None}
    assert market.put("/limits", limit).status_code == 200
    statuses = [market.post_order().status_code for _ in range(5)]
    assert statuses == [201, 201, 201, 429, 429]
    assert len(market.get("/orders").json()) == 3


def test_repeated_request_reveals_no_order_the_caller_may_not_see(market):
    order = market.place_order(**RESTING_LIMIT_ORDER, portfolio_name="Theirs")
    market.place_order(portfolio_name="Mine")
    path, changes, key = f"/orders/{order['id']}", {"quantity": "5"}, {"Idempotency-Key": "K"}
    assert market.patch(path, changes, key).status_code == 200
    assert create_narrow_client(market, "Mine").patch(path, changes, key).status_code == 404


def test_repeated_request_finds_its_order_after_a_portfolio_rename(market):
    first = market.place_order("K")
    assert market.patch("/portfolios/Growth", {"name": "Renamed"}).status_code == 200
    again = market.post_order("K")
    assert (again.status_code, again.json()["id"]) == (201, first["id"])
    assert again.json()["portfolio_name"] == "Renamed"


def test_renamed_portfolio_stays_halted(market):
    market.place_order()
    halt = {"scope": "portfolio", "name": "Growth", "state": "HALTED", "reason": "Drill"}
    assert market.post("/kill-switch", halt).status_code == 200
    assert market.patch("/portfolios/Growth", {"name": "Renamed"}).status_code == 200
    assert market.post_order(portfolio_name="Renamed").json()["denial"]["code"] == "HALTED"


def create_person(market):
    """Return a person of the desk's own Slack workspace: a workspace belongs to one tenant."""
    return f"slack:T{market.tenant_id}:U1"


def create_order_sender(market):
    """Return a function that places orders for a person through the key of a bot."""
    bot = market.with_key(market.service.create_key("trade act_as", market.tenant_id))
    market.claim_workspace(f"T{market.tenant_id}")
    person = {"X-On-Behalf-Of": create_person(market)}

    def place(**changes):
        return bot.post("/orders", build_ticket_body(**changes), person)

    return place


def test_duplicate_order_of_a_user_requires_confirmation(market):
    place = create_order_sender(market)
    first = place()
    assert (first.status_code, first.json()["actor"]) == (201, create_person(market))
    again = place()
    assert (again.status_code, again.json()["denial"]["code"]) == (422, "REPEAT_ORDER")
    assert place(confirm_repeat=True).status_code == 201
    assert place(quantity="11").status_code == 201
    assert [market.post_order().status_code for _ in range(2)] == [201, 201]


def test_records_of_delegated_requests_name_the_user(market):
    order = create_order_sender(market)(reason="Earnings").json()
    assert {event["actor"] for event in market.get_order(order["id"])["events"]} == {
        create_person(market),
        "paper",
    }
    (trade,) = market.list_trades()
    assert trade["actor"] == create_person(market)


def test_orders_are_filtered_by_placing_user_and_named_user(market):
    own_order = create_order_sender(market)().json()["id"]
    order_of_another = market.place_order(user_id="U123")["id"]
    assert [order["id"] for order in market.get("/orders", user=create_person(market)).json()] == [own_order]
    assert [order["id"] for order in market.get("/orders", user="U123").json()] == [order_of_another]


def test_conflict_reveals_no_keys_of_other_portfolios_to_restricted_users(market):
    market.record_trade(portfolio_name="Mine")
    market.place_order(key="order-1", portfolio_name="Secret", client_order_id="mine-1")
    market.record_trade(key="trade-1", portfolio_name="Secret")
    me = create_narrow_client(market, "Mine")
    requests = [
        lambda caller: caller.post_order(key="order-1", portfolio_name="Mine"),
        lambda caller: caller.post_order(key="order-2", portfolio_name="Mine", client_order_id="mine-1"),
        lambda caller: caller.post_trade(key="trade-1", portfolio_name="Mine"),
    ]
    fresh, again = ([send(me) for send in requests] for _ in range(2))
    assert [(response.status_code, response.headers.get("idempotent-replayed")) for response in fresh] == [
        (201, None)
    ] * 3
    assert [(response.status_code, response.headers["idempotent-replayed"]) for response in again] == [
        (201, "true")
    ] * 3
    assert [send(market).headers["idempotent-replayed"] for send in requests] == ["true"] * 3
    other_requests = (
        market.post_order(key="order-1", portfolio_name="Mine", quantity="7"),
        market.post_trade("trade-1"),
    )
    assert [response.status_code for response in other_requests] == [409, 409]
    assert me.post_trade(key="trade-1", portfolio_name="Mine", quantity="7").status_code == 409


def test_order_change_reveals_no_keys_of_other_portfolios(market):
    market.record_trade(portfolio_name="Mine")
    secret = market.place_order(portfolio_name="Secret", type="LIMIT", limit_price="90")["id"]
    changed = market.patch(f"/orders/{secret}", {"quantity": "5"}, {"Idempotency-Key": "change-1"})
    assert changed.status_code == 200, changed.text
    me = create_narrow_client(market, "Mine")
    own_order = me.place_order(portfolio_name="Mine", type="LIMIT", limit_price="90")["id"]
    response = me.patch(f"/orders/{own_order}", {"quantity": "6"}, {"Idempotency-Key": "change-1"})
    assert (response.status_code, response.json()["quantity"]) == (200, "6")
    reversed_ = market.record_trade(portfolio_name="Secret")["trade_id"]
    assert market.post_reversal(reversed_, key="undo-1").status_code == 201
    trade = me.record_trade(portfolio_name="Mine")["trade_id"]
    assert me.post_reversal(trade, key="undo-1").status_code == 201
