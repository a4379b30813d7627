"""Limits over REST: set, listed, removed and expired; a change applies within a second."""

from datetime import timedelta

import pytest

from app.clock import utc_now
from app.timestamps import format_timestamp
from tests.risk.risk_requests import list_events, post_order, put_limit, set_quote


def test_limit_is_set_and_listed(api):
    response = put_limit(api, "max_order_value", "25000", "portfolio", "Growth")
    assert response.status_code == 200, response.text
    body = response.json()
    assert {name: body[name] for name in ("scope", "name", "code", "value", "until", "in_force")} == {
        "scope": "portfolio",
        "name": "Growth",
        "code": "MAX_ORDER_VALUE",
        "value": "25000.00",
        "until": None,
        "in_force": True,
    }
    assert body["set_by"].startswith("key-")
    assert api.get("/limits").json() == [body]


def test_changed_limit_replaces_the_previous_one_and_reports_both(api):
    put_limit(api, "MAX_ORDER_QUANTITY", "5")
    put_limit(api, "MAX_ORDER_QUANTITY", "7")
    assert [row["value"] for row in api.get("/limits").json()] == ["7.00"]
    newest = list_events(api, "limit.changed")[0]["data"]
    assert (newest["before"]["value"], newest["after"]["value"]) == ("5.00000000", "7.00000000")
    assert (newest["scope"], newest["name"], newest["code"]) == ("tenant", None, "MAX_ORDER_QUANTITY")


def test_deleted_limit_is_gone(api):
    put_limit(api, "MAX_ORDER_QUANTITY", "5", "user", "U1")
    response = put_limit(api, "MAX_ORDER_QUANTITY", None, "user", "U1")
    assert (response.status_code, response.json()["value"], response.json()["in_force"]) == (200, None, False)
    assert api.get("/limits").json() == []
    assert list_events(api, "limit.changed")[0]["data"]["after"] is None
    assert put_limit(api, "MAX_ORDER_QUANTITY", None, "user", "U1").status_code == 200
    assert len(list_events(api, "limit.changed")) == 2


def test_deletion_also_reports_the_temporary_limit(api):
    put_limit(api, "MAX_ORDER_QUANTITY", "50", until=format_timestamp(utc_now() + timedelta(hours=1)))
    put_limit(api, "MAX_ORDER_QUANTITY", None)
    assert list_events(api, "limit.changed")[0]["data"]["before"]["value"] == "50.00000000"
    assert api.get("/audit", action="limit.removed").json()[0]["before"]["value"] == "50.00000000"


def test_temporary_limit_coexists_with_a_permanent_one(api):
    put_limit(api, "MAX_ORDER_QUANTITY", "5", "portfolio", "Growth")
    until = format_timestamp(utc_now() + timedelta(hours=1))
    assert put_limit(api, "MAX_ORDER_QUANTITY", "50", "portfolio", "GROWTH", until=until).status_code == 200
    rows = api.get("/limits").json()
    assert [(row["value"], row["until"], row["in_force"]) for row in rows] == [
        ("5.00", None, False),
        ("50.00", until, True),
    ]


def test_limit_applies_to_the_next_order_and_its_denial_names_it(api):
    set_quote(api)
    assert post_order(api, quantity="100").status_code == 201
    put_limit(api, "MAX_ORDER_QUANTITY", "60", "portfolio", "Growth")
    response = post_order(api, quantity="100")
    assert response.status_code == 422, response.text
    denial = response.json()["denial"]
    assert denial["code"] == "MAX_ORDER_QUANTITY"
    assert denial["limit"] == "60"
    assert denial["asked"] == "100"
    assert denial["largest_passing"] == "60"
    assert post_order(api, quantity="60").status_code == 201
    put_limit(api, "MAX_ORDER_QUANTITY", "200", "instrument", "aapl")
    assert post_order(api, quantity="100").status_code == 422  # of all caps that match, the smallest holds
    put_limit(api, "MAX_ORDER_QUANTITY", "50", "instrument", "aapl")
    assert post_order(api, quantity="60").json()["denial"]["limit"] == "50"


def test_asset_class_limit_applies_only_to_its_symbols(api):
    for symbol in ("AAPL", "BTCUSDT"):
        set_quote(api, symbol)
    response = put_limit(api, "MAX_ORDER_QUANTITY", "5", "asset_class", "Crypto")
    assert (response.status_code, response.json()["name"]) == (200, "crypto"), response.text
    assert post_order(api).status_code == 201
    assert post_order(api, symbol="BTCUSDT").json()["denial"]["limit"] == "5"
    put_limit(api, "MAX_ORDER_QUANTITY", None, "asset_class", "crypto")
    assert post_order(api, symbol="BTCUSDT").status_code == 201


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"scope": "tenant", "name": "Growth", "code": "MAX_PRICE", "value": "1"}, "name"),
        ({"scope": "portfolio", "code": "MAX_PRICE", "value": "1"}, "name"),
        ({"scope": "portfolio", "name": "a/b", "code": "MAX_PRICE", "value": "1"}, "name"),
        ({"scope": "instrument", "name": "?", "code": "MAX_PRICE", "value": "1"}, "name"),
        ({"scope": "asset_class", "code": "MAX_PRICE", "value": "1"}, "name"),
        ({"scope": "asset_class", "name": "shares", "code": "MAX_PRICE", "value": "1"}, "name"),
        ({"scope": "asset_class", "name": "fx", "code": "ALLOWED_SIDES", "value": "BUY"}, "scope"),
        ({"scope": "user", "name": "", "code": "MAX_PRICE", "value": "1"}, "name"),
        ({"scope": "everybody", "code": "MAX_PRICE", "value": "1"}, "scope"),
        ({"scope": "tenant", "code": "MAX_FUN", "value": "1"}, "code"),
        ({"scope": "tenant", "code": "MAX_PRICE"}, "value"),
        ({"scope": "tenant", "code": "MAX_PRICE", "value": "-1"}, "value"),
        ({"scope": "tenant", "code": "MAX_PRICE", "value": "0.000000001"}, "value"),
        ({"scope": "tenant", "code": "SHORT_SELLING", "value": "2"}, "value"),
        ({"scope": "tenant", "code": "MAX_PRICE", "value": "1", "until": "2026-01-01"}, "until"),
        ({"scope": "tenant", "code": "MAX_PRICE", "value": "1", "until": {}}, "until"),
        ({"scope": "tenant", "code": "MAX_PRICE", "value": "1", "until": "2020-01-01T00:00:00Z"}, "until"),
        ({"scope": "tenant", "code": "MAX_PRICE", "value": "1", "set_by": "me"}, "set_by"),
    ],
)
def test_invalid_limit_is_rejected_by_field(api, body, field):
    response = api.put("/limits", body)
    assert response.status_code == 422, response.text
    assert [error["field"] for error in response.json()["errors"]] == [field]
    assert api.get("/limits").json() == []


def test_limits_require_the_risk_role_to_set_and_are_readable_by_all(service, api):
    trader = service.create_client("trade")
    assert put_limit(trader, "MAX_PRICE", "1").status_code == 403
    assert trader.get("/limits").json() == []
    put_limit(api, "MAX_PRICE", "1")
    assert trader.get("/limits").json() == []


@pytest.mark.parametrize(
    ("code", "value", "denied"),
    [
        ("MAX_GROSS_EXPOSURE", "2500", "FIRM_GROSS_EXPOSURE"),
        ("MAX_NET_EXPOSURE", "2500", "FIRM_NET_EXPOSURE"),
        ("MAX_OPEN_ORDERS", "2", "FIRM_OPEN_ORDERS"),
    ],
)
def test_tenant_limit_applies_to_the_sum_of_its_portfolios(api, code, value, denied):
    set_quote(api)
    resting = {"type": "LIMIT", "limit_price": "100"}
    put_limit(api, code, value)
    put_limit(api, code, "1000000", "portfolio", "Growth")
    assert post_order(api, **resting).status_code == 201
    assert post_order(api, portfolio_name="Income", **resting).status_code == 201
    response = post_order(api, portfolio_name="Third", **resting)
    assert (response.status_code, response.json()["denial"]["code"]) == (422, denied), response.text
    remaining = "5" if code != "MAX_OPEN_ORDERS" else "0"
    assert response.json()["denial"]["largest_passing"] == remaining


def test_firm_limit_counts_positions_of_every_trader(api):
    set_quote(api)
    put_limit(api, "MAX_GROSS_EXPOSURE", "3000")
    api.buy("20", "100", portfolio_name="Income")
    denial = post_order(api, quantity="11").json()["denial"]
    assert (denial["code"], denial["asked"], denial["largest_passing"]) == (
        "FIRM_GROSS_EXPOSURE",
        "3111",
        "9.90099009",
    )
    assert post_order(api, quantity="9").status_code == 201


def test_limits_are_listed_in_pages(api):
    for name in ("c", "a", "b"):
        put_limit(api, "MAX_PRICE", "5", "portfolio", name)
        put_limit(
            api, "MAX_PRICE", "9", "portfolio", name, until=format_timestamp(utc_now() + timedelta(hours=1))
        )
    put_limit(api, "MAX_OPEN_ORDERS", "5")
    whole = api.get("/limits").json()
    assert [row["name"] for row in whole] == ["a", "a", "b", "b", "c", "c", None]
    assert [row["in_force"] for row in whole] == [False, True, False, True, False, True, True]
    pages, path = [], "/api/v1/limits?limit=3"
    while path:
        response = api.service.client.get(path, headers={"X-API-Key": api.key})
        assert response.status_code == 200, response.text
        pages.append(response.json())
        path = response.links.get("next", {}).get("url")
    assert [len(page) for page in pages] == [3, 3, 1]
    assert [row for page in pages for row in page] == whole


@pytest.mark.parametrize("query", ["limit=0", "limit=1001", "limit=a", "cursor=abc", "page=2"])
def test_invalid_page_is_rejected(api, query):
    assert (
        api.service.client.get(f"/api/v1/limits?{query}", headers={"X-API-Key": api.key}).status_code == 422
    )


def test_number_of_limits_and_list_entries_is_limited(api, monkeypatch):
    monkeypatch.setattr("app.risk.service.limit_store.MAX_LIMITS", 2)
    monkeypatch.setattr("app.risk.service.limit_store.MAX_CHARACTERS", 9)
    assert put_limit(api, "ALLOWED_SYMBOLS", "AAPL,MSFT").status_code == 200
    assert put_limit(api, "ALLOWED_SYMBOLS", "MSFT").status_code == 200  # the same one again
    limit = put_limit(api, "ALLOWED_SYMBOLS", "GOOGLE", "portfolio", "Growth")
    assert (limit.status_code, limit.json()["type"].rpartition("/")[2]) == (409, "too-many-set")
    assert put_limit(api, "MAX_PRICE", "5").status_code == 200
    assert put_limit(api, "MAX_ORDER_VALUE", "5").status_code == 409
    assert put_limit(api, "MAX_PRICE", "6").status_code == 200
    assert put_limit(api, "MAX_PRICE", None).status_code == 200
    assert put_limit(api, "MAX_ORDER_VALUE", "5").status_code == 200
