"""Alerts over REST: each crossing is one event, also with several processes and after a restart."""

import asyncio

import pytest

from tests.alerts.requests import (
    PRICE,
    check_portfolios,
    create_alert,
    list_alerts,
    run_second_watcher,
    set_last_price,
    watch_portfolio,
)


@pytest.mark.parametrize("price", ["100", "250"])
def test_price_alert_fires_at_the_threshold_and_through_it(api, price):
    set_last_price(api, "99.99")
    alert = create_alert(api, deliver_to="C0123")
    set_last_price(api, price)
    (event,) = list_alerts(api, 1)
    assert event["alert_id"] == alert["id"]
    assert (event["firing"], float(event["value"])) == (1, float(price))
    assert (event["symbol"], event["deliver_to"], event["above"]) == ("AAPL", "C0123", "100.00")
    (body,) = api.get("/alerts").json()
    assert (body["status"], body["firing"], body["fired_at"]) == ("done", 1, event["at"])


def test_spike_between_two_quotes_counts(api):
    set_last_price(api, "90")
    create_alert(api)
    for price in ("90", "120", "90"):
        set_last_price(api, price)
    assert [event["value"] for event in list_alerts(api, 1)] == ["120.00"]


@pytest.mark.any_database
def test_flapping_around_the_threshold_fires_once_and_a_new_crossing_again(api):
    set_last_price(api, "90")
    create_alert(api, repeat=True)
    for price in ("100", "99.95", "100.05", "99.95", "100", "99.8", "101"):
        set_last_price(api, price)
    assert [(event["firing"], event["value"]) for event in list_alerts(api, 2)] == [
        (1, "100.00"),
        (2, "101.00"),
    ]
    (body,) = api.get("/alerts").json()
    assert body["status"] == "waiting"


@pytest.mark.any_database
def test_alert_below_uses_the_mid_without_a_last_price(api):
    create_alert(api, above=None, below="50")
    api.set_quote("AAPL", "49", "51", None)
    assert [event["value"] for event in list_alerts(api, 1)] == ["50.00"]


@pytest.mark.any_database
def test_condition_that_is_true_already_fires_at_once(api):
    set_last_price(api, "150")
    create_alert(api)
    assert [event["value"] for event in list_alerts(api, 1)] == ["150.00"]


@pytest.mark.any_database
def test_deleted_alert_does_not_fire(api):
    set_last_price(api, "90")
    remaining, deleted = create_alert(api), create_alert(api)
    response = api.service.client.delete(f"/api/v1/alerts/{deleted['id']}", headers={"X-API-Key": api.key})
    assert response.status_code == 204
    set_last_price(api, "110")
    assert [event["alert_id"] for event in list_alerts(api, 1)] == [remaining["id"]]
    assert [alert["id"] for alert in api.get("/alerts").json()] == [remaining["id"]]


@pytest.mark.any_database
def test_alerts_are_visible_only_to_their_owner(api):
    alert = create_alert(api)
    other = api.with_key(api.service.create_key("admin", api.tenant_id))
    assert other.get("/alerts").json() == []
    path = f"/api/v1/alerts/{alert['id']}"
    assert api.service.client.delete(path, headers={"X-API-Key": other.key}).status_code == 404
    assert len(api.get("/alerts").json()) == 1


@pytest.mark.any_database
def test_alerts_are_listed_in_pages(api):
    alert_ids = [create_alert(api, above=str(100 + index))["id"] for index in range(3)]
    first = api.get("/alerts", limit=2)
    assert len(first.json()) == 2
    assert 'rel="next"' in first.headers["link"]
    assert {alert["id"] for alert in api.get("/alerts").json()} == set(alert_ids)


@pytest.mark.any_database
def test_repeated_request_creates_one_alert(api):
    responses = [api.post("/alerts", PRICE, {"Idempotency-Key": "a-1"}) for _ in range(2)]
    assert responses[0].json() == responses[1].json()
    assert len(api.get("/alerts").json()) == 1


@pytest.mark.any_database
@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"kind": "weather"}, "kind"),
        ({"above": None}, "above"),
        ({"below": "90"}, "above"),
        ({"above": "0"}, "above"),
        ({"above": "-5"}, "above"),
        ({"above": "12345678901234567"}, "above"),
        ({"symbol": None}, "symbol"),
        ({"portfolio_name": "Growth"}, "portfolio_name"),
        ({"kind": "day_pnl", "symbol": None}, "portfolio_name"),
        ({"kind": "day_pnl", "symbol": None, "portfolio_name": "unknown"}, "portfolio_name"),
        ({"deliver_to": "you"}, "deliver_to"),
        ({"repeat": "yes"}, "repeat"),
        ({"price": "5"}, "price"),
    ],
)
def test_invalid_alert_is_refused_by_field(api, body, field):
    response = api.post("/alerts", {**PRICE, **body})
    assert response.status_code == 422, response.text
    assert [error["field"] for error in response.json()["errors"]] == [field]


def test_crossing_counts_once_with_two_processes_and_after_a_restart(api):
    set_last_price(api, "90")
    create_alert(api, repeat=True)
    other, close = run_second_watcher(api.service)
    try:
        asyncio.run(other.check())
        set_last_price(api, "101")
        for _ in range(3):
            asyncio.run(other.check())
        assert len(list_alerts(api, 1)) == 1
    finally:
        close()
    restarted, close = run_second_watcher(api.service)
    try:
        asyncio.run(restarted.check())
        asyncio.run(restarted.check())
        assert len(list_alerts(api)) == 1
    finally:
        close()


def test_portfolio_alerts_fire_once_per_crossing(api):
    api.buy("1000", "100", portfolio_name="Growth")
    api.set_quote("AAPL", "100", "100", "100")
    limit = {"scope": "portfolio", "name": "Growth", "code": "MAX_GROSS_EXPOSURE", "value": "100000"}
    assert api.put("/limits", limit).status_code == 200
    watch_portfolio(api, kind="day_pnl", below="-10000", repeat=True)
    watch_portfolio(api, kind="drawdown", above="1.5")
    watch_portfolio(api, kind="limit_use", below="85")
    check_portfolios(api)
    assert list_alerts(api) == []
    api.set_quote("AAPL", "90", "90", "90")
    check_portfolios(api, 2)
    assert [(event["kind"], event["value"]) for event in list_alerts(api)] == [("day_pnl", "-10000.00")]
    api.set_quote("AAPL", "85", "85", "85")
    check_portfolios(api, 2)
    assert [(event["kind"], event["value"], event["portfolio_name"]) for event in list_alerts(api)[1:]] == [
        ("drawdown", "1.50", "Growth"), ("limit_use", "85.00", "Growth"),
    ]  # fmt: skip
    for price in ("99.5", "80"):
        api.set_quote("AAPL", price, price, price)
        check_portfolios(api)
    assert [(event["kind"], event["firing"]) for event in list_alerts(api)][3:] == [("day_pnl", 2)]
