"""The content of order events: the change, and the state after it."""


def list_events(api, type_="order.*"):
    """Return type and data of the events, oldest first."""
    events = api.get("/events", type=type_, limit=200).json()
    return [(event["type"], event["data"]) for event in reversed(events)]


def test_market_order_publishes_events_from_creation_to_fill(market):
    order = market.place_order(quantity="10", strategy="momentum")
    kinds = ["order.initialized", "order.submitted", "order.accepted", "order.filled"]
    events = list_events(market)
    assert [kind for kind, _ in events] == kinds
    first, last = events[0][1], events[-1][1]
    fields = ("client_order_id", "portfolio_name", "symbol", "side", "type", "quantity", "strategy")
    assert {name: first[name] for name in fields} == {name: order[name] for name in fields}
    assert (first["order_id"], first["status"], first["sequence"]) == (order["id"], "INITIALIZED", 1)
    assert (first["filled_quantity"], first["leaves_quantity"]) == ("0", "10")
    assert (last["filled_quantity"], last["leaves_quantity"], last["average_price"]) == ("10", "0", "101.00")
    (fill,) = market.get_order(order["id"])["fills"]
    execution = (fill["execution_id"], fill["trade_id"], fill["quantity"], fill["price"])
    names = ("execution_id", "trade_id", "last_quantity", "last_price")
    assert tuple(last[name] for name in names) == execution


def test_fill_event_contains_the_fill_details(api):
    api.set_quote("AAPL", "99", "101", "100", ask_size="4")
    order = api.place_order(quantity="10", type="LIMIT", limit_price="102", time_in_force="GTC")
    api.set_quote("AAPL", "99", "102", "100", ask_size="5")
    api.set_quote("AAPL", "99", "102", "100", ask_size="7")
    fills = [(kind, payload) for kind, payload in list_events(api) if "execution_id" in payload]
    assert [kind for kind, _ in fills] == ["order.partially_filled", "order.partially_filled", "order.filled"]
    assert [(payload["last_quantity"], payload["last_price"]) for _, payload in fills] == [
        ("4", "101.00"),
        ("5", "102.00"),
        ("1", "102.00"),
    ]
    assert [(payload["filled_quantity"], payload["leaves_quantity"]) for _, payload in fills] == [
        ("4", "6"),
        ("9", "1"),
        ("10", "0"),
    ]
    assert fills[-1][1]["average_price"] == api.get_order(order["id"])["average_price"] == "101.60"


def test_event_contains_the_order_state_at_that_time(market):
    order = market.place_order(type="LIMIT", limit_price="90", time_in_force="GTC", quantity="10")
    successor = market.patch(f"/orders/{order['id']}", {"quantity": "20"}).json()
    market.post(f"/orders/{successor['id']}/cancel", {"reason": "Changed my mind"})
    by_kind = {(payload["order_id"], kind): payload for kind, payload in list_events(market)}
    assert by_kind[order["id"], "order.accepted"]["leaves_quantity"] == "10"
    assert by_kind[order["id"], "order.replaced"]["replaced_by"] == successor["id"]
    assert by_kind[successor["id"], "order.accepted"]["replaces"] == order["id"]
    requested, ended = (by_kind[successor["id"], f"order.{name}"] for name in ("pending_cancel", "canceled"))
    assert (requested["reason"], requested["leaves_quantity"], requested["limit_price"]) == (
        "Changed my mind",
        "20",
        "90.00",
    )
    assert (ended["actor"], ended["leaves_quantity"]) == ("paper", "0")


def test_bracket_leg_events_name_the_parent_and_quantity_increase(api):
    api.set_quote("AAPL", "99", "101", "100", ask_size="4")
    order = api.place_order(quantity="10", stop_loss={"stop_price": "90"}, time_in_force="GTC")
    api.set_quote("AAPL", "99", "101", "100", ask_size="3")
    leg_payloads = [payload for _, payload in list_events(api) if payload.get("parent_id") == order["id"]]
    assert [payload["quantity"] for payload in leg_payloads][-1] == "7"
    assert (leg_payloads[-1]["reason"], leg_payloads[-1]["stop_price"]) == (
        "Quantity increased to 7",
        "90.00",
    )


def test_denial_event_contains_the_reason(market):
    market.post_order(quantity="2000000")
    (denied,) = (payload for kind, payload in list_events(market) if kind == "order.denied")
    assert denied["reason"] == "An order may have at most 1,000,000 units."


def test_trailing_stop_event_contains_its_stop_price(market):
    market.buy("10", "100")
    market.place_order(
        side="SELL", type="TRAILING_STOP", trail_percent="5", time_in_force="GTC", quantity="10"
    )
    market.set_quote("AAPL", "119", "121", "120")
    market.set_quote("AAPL", "109", "111", "110")
    (fired,) = (payload for kind, payload in list_events(market) if kind == "order.triggered")
    assert (fired["trail_percent"], fired["trail_level"]) == ("5", "114.00")


def test_lapsed_order_event_contains_the_broker_reason(market):
    market.place_order(type="LIMIT", limit_price="90", time_in_force="IOC")
    (ended,) = (payload for kind, payload in list_events(market) if kind == "order.canceled")
    assert (ended["actor"], bool(ended["broker_reason"])) == ("paper", True)
    assert ended["broker_words"] == ended["broker_reason"]  # the former name
