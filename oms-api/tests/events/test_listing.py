"""GET /events."""

import pytest


def list_events(api, **params):
    response = api.get("/events", **params)
    assert response.status_code == 200, response.text
    return response.json()


def test_trade_event_contains_the_changes(api):
    trade = api.record_trade()
    body = {item["type"]: item for item in list_events(api)}
    event = body["trade.recorded"]
    assert event["data"]["trade_id"] == trade["trade_id"]
    assert event["created_at"] == trade["created_at"]
    payload = event["data"]
    columns = ("symbol", "side", "quantity", "price", "gmv", "realized_pnl")
    assert {name: payload[name] for name in columns} == {name: trade[name] for name in columns}
    assert (payload["portfolio_name"], "order_id" in payload) == ("Growth", False)
    assert body["position.changed"]["data"]["symbol"] == "AAPL"


def test_position_event_contains_the_updated_position(api):
    api.buy("10", "100")
    api.sell("4", "110")
    payloads = [item["data"] for item in list_events(api, type="position.changed")]
    assert (payloads[0]["quantity"], payloads[0]["cost"], payloads[0]["realized_pnl"]) == (
        "6",
        "600.00",
        "40.00",
    )
    assert (payloads[1]["quantity"], payloads[1]["cost"], payloads[1]["realized_pnl"]) == (
        "10",
        "1000.00",
        "0.00",
    )
    assert payloads[0]["portfolio_name"] == "Growth"


def test_trade_event_of_a_fill_names_its_order(api):
    api.set_quote("AAPL", "99", "101", "100")
    order = api.place_order(quantity="10")
    (body,) = list_events(api, type="trade.recorded")
    assert (body["data"]["order_id"], body["data"]["price"]) == (order["id"], "101.00")


def test_events_are_listed_newest_first_in_pages(api):
    trades = [api.record_trade()["trade_id"] for _ in range(5)]
    pages, link = [], "/events?type=trade.recorded&limit=2"
    while link:
        response = api.get(link.removeprefix("/api/v1"))
        pages += [item["data"]["trade_id"] for item in response.json()]
        link = response.links.get("next", {}).get("url")
    assert pages == trades[::-1]


def test_events_are_filtered_by_type_and_time(api):
    first, second = api.record_trade(), api.record_trade()
    assert {item["type"] for item in list_events(api, type="trade.recorded")} == {"trade.recorded"}
    both = {item["type"] for item in list_events(api, type="trade.*,position.changed")}
    assert both == {"trade.recorded", "position.changed"}
    assert list_events(api, type="limit.changed") == []
    later = list_events(api, type="trade.*", from_=second["created_at"])
    assert [item["data"]["trade_id"] for item in later] == [second["trade_id"]]
    earlier = list_events(api, type="trade.*", to_=second["created_at"])
    assert [item["data"]["trade_id"] for item in earlier] == [first["trade_id"]]


@pytest.mark.parametrize("type_", ["trade", "Trade.recorded", "trade.*.x", "%", "trade.recorded,", "a.b c"])
def test_unknown_event_type_is_rejected(api, type_):
    response = api.get("/events", type=type_)
    assert (response.status_code, response.json()["errors"][0]["field"]) == (422, "type")


@pytest.mark.parametrize("last", ["x", "-1", "1", "9" * 27, "9" * 30, "é"])
def test_stream_cannot_resume_from_an_unknown_event(api, last):
    response = api.get("/events/stream", headers={"Last-Event-ID": last.encode()})
    assert (response.status_code, response.json()["errors"][0]["field"]) == (422, "Last-Event-ID")


def test_events_of_another_tenant_are_not_listed(service, api):
    api.record_trade()
    assert list_events(service.create_client()) == []
    assert api.service.create_client("read").get("/events").status_code == 200


def test_event_id_is_opaque_and_valid_only_for_its_tenant(service, api):
    """Events are counted across tenants: a number would tell of the others' activity."""
    api.record_trade()
    other = service.create_client()
    other.record_trade()
    event_id = list_events(api, type="trade.*")[0]["id"]
    assert len(event_id) == 27
    assert list_events(api, type="trade.*")[0]["id"] == event_id
    assert api.get("/events", cursor=event_id).status_code == 200
    assert other.get("/events", cursor=event_id).status_code == 422
    assert other.get("/events/stream", headers={"Last-Event-ID": event_id}).status_code == 422
