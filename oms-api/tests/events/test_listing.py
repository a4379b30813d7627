"""Events over REST, as a list."""

import pytest


def listed(desk, **params):
    answer = desk.get("/events", **params)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_a_trade_is_told_with_what_changed(desk):
    trade = desk.trade()
    told = {one["type"]: one for one in listed(desk)}
    event = told["trade.recorded"]
    assert event["data"]["trade_id"] == trade["trade_id"]
    assert event["created_at"] == trade["created_at"]
    data = event["data"]
    facts = ("symbol", "side", "quantity", "price", "gmv", "realized_pnl")
    assert {name: data[name] for name in facts} == {name: trade[name] for name in facts}
    assert (data["portfolio_name"], "order_id" in data) == ("Growth", False)
    assert told["position.changed"]["data"]["symbol"] == "AAPL"


def test_a_position_is_told_as_it_is_after_the_change(desk):
    desk.buy("10", "100")
    desk.sell("4", "110")
    data = [one["data"] for one in listed(desk, type="position.changed")]
    assert (data[0]["quantity"], data[0]["cost"], data[0]["realized_pnl"]) == ("6", "600.00", "40.00")
    assert (data[1]["quantity"], data[1]["cost"], data[1]["realized_pnl"]) == ("10", "1000.00", "0.00")
    assert data[0]["portfolio_name"] == "Growth"


def test_a_fill_s_trade_is_told_with_its_order(desk):
    desk.quote("AAPL", "99", "101", "100")
    order = desk.order(quantity="10")
    (told,) = listed(desk, type="trade.recorded")
    assert (told["data"]["order_id"], told["data"]["price"]) == (order["id"], "101.00")


def test_the_newest_come_first_and_the_list_goes_on(desk):
    trades = [desk.trade()["trade_id"] for _ in range(5)]
    found, link = [], "/events?type=trade.recorded&limit=2"
    while link:
        answer = desk.get(link.removeprefix("/api/v1"))
        found += [one["data"]["trade_id"] for one in answer.json()]
        link = answer.links.get("next", {}).get("url")
    assert found == trades[::-1]


def test_events_are_found_by_type_and_time(desk):
    first, second = desk.trade(), desk.trade()
    assert {one["type"] for one in listed(desk, type="trade.recorded")} == {"trade.recorded"}
    both = {one["type"] for one in listed(desk, type="trade.*,position.changed")}
    assert both == {"trade.recorded", "position.changed"}
    assert listed(desk, type="limit.changed") == []
    later = listed(desk, type="trade.*", from_=second["created_at"])
    assert [one["data"]["trade_id"] for one in later] == [second["trade_id"]]
    earlier = listed(desk, type="trade.*", to_=second["created_at"])
    assert [one["data"]["trade_id"] for one in earlier] == [first["trade_id"]]


@pytest.mark.parametrize("type_", ["trade", "Trade.recorded", "trade.*.x", "%", "trade.recorded,", "a.b c"])
def test_what_is_no_type_is_refused(desk, type_):
    answer = desk.get("/events", type=type_)
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "type")


@pytest.mark.parametrize("last", ["x", "-1", "1", "9" * 27, "9" * 30, "é"])
def test_a_stream_does_not_go_on_from_what_is_no_event(desk, last):
    answer = desk.get("/events/stream", headers={"Last-Event-ID": last.encode()})
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "Last-Event-ID")


def test_nothing_of_another_tenant_is_told(service, desk):
    desk.trade()
    assert listed(service.desk()) == []
    assert desk.service.desk("read").get("/events").status_code == 200


def test_the_number_of_an_event_is_sealed_for_its_tenant(service, desk):
    """Events are counted across tenants: a number would tell of the others' activity."""
    desk.trade()
    other = service.desk()
    other.trade()
    told = listed(desk, type="trade.*")[0]["id"]
    assert len(told) == 27
    assert listed(desk, type="trade.*")[0]["id"] == told
    assert desk.get("/events", cursor=told).status_code == 200
    assert other.get("/events", cursor=told).status_code == 422
    assert other.get("/events/stream", headers={"Last-Event-ID": told}).status_code == 422
