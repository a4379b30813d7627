"""Lists of permitted symbols, sides and products for users, keys, strategies and portfolios."""

import pytest

from tests.access.api_operations import Members
from tests.risk.risk_requests import list_events, post_order, put_limit, set_quote

pytestmark = pytest.mark.any_database

TICKET = {"portfolio_name": "Growth", "symbol": "AAPL", "side": "BUY", "quantity": "10", "type": "MARKET"}


@pytest.fixture
def quoted_api(api):
    set_quote(api)
    set_quote(api, "MSFT")
    return api.open_portfolio()


def get_denial(response):
    assert response.status_code == 422, response.text
    return response.json()["denial"]


def get_own_name(api):
    """Return the name of the tenant's key in lists."""
    keys = api.get("/api-keys").json()
    return f"key:{keys[0]['name']}"


def test_permission_list_is_set_shown_and_deleted(api):
    response = put_limit(api, "allowed_symbols", "msft, AAPL,msft", "portfolio", "Growth")
    assert response.status_code == 200, response.text
    assert response.json()["value"] == "AAPL,MSFT"
    assert api.get("/limits").json() == [response.json()]
    assert list_events(api, "limit.changed")[0]["data"]["after"] == {"value": "AAPL,MSFT", "until": None}
    put_limit(api, "ALLOWED_SYMBOLS", None, "portfolio", "Growth")
    assert api.get("/limits").json() == []


@pytest.mark.parametrize(
    ("code", "value", "passing", "denied", "asked"),
    [
        ("ALLOWED_SYMBOLS", "AAPL", {}, {"symbol": "MSFT"}, "MSFT"),
        ("ALLOWED_SIDES", "BUY", {}, {"side": "SELL"}, "SELL"),
        ("ALLOWED_PRODUCTS", "CNC,MIS", {"product": "CNC"}, {"product": "NRML"}, "NRML"),
        ("ALLOWED_PRODUCTS", "CNC", {"product": "CNC"}, {}, "NONE"),
        ("ALLOWED_PRODUCTS", "NONE", {}, {"product": "CNC"}, "CNC"),
    ],
)
@pytest.mark.parametrize("scope", ["tenant", "portfolio", "user", "strategy"])
def test_unlisted_order_is_denied(quoted_api, code, value, passing, denied, asked, scope):
    names_by_scope = {
        "tenant": None,
        "portfolio": "Growth",
        "user": get_own_name(quoted_api),
        "strategy": "momentum",
    }
    put_limit(quoted_api, code, value, scope, names_by_scope[scope])
    ticket = {"strategy": "momentum"}
    assert post_order(quoted_api, **ticket, **passing).status_code == 201
    body = get_denial(post_order(quoted_api, **ticket, **denied))
    assert (body["code"], body["limit"], body["asked"]) == ("NOT_PERMITTED", value, asked)
    assert body["largest_passing"] == "0"


def test_permission_list_length_is_limited(api):
    symbols = [f"{number:020d}" for number in range(901)]
    assert put_limit(api, "ALLOWED_SYMBOLS", ",".join(symbols[:900])).status_code == 200
    assert put_limit(api, "ALLOWED_SYMBOLS", ",".join(symbols[:900])).status_code == 200  # a trail of both
    assert put_limit(api, "ALLOWED_SYMBOLS", ",".join(symbols)).status_code == 422
    assert put_limit(api, "ALLOWED_SYMBOLS", "AAPL," * 4_000 + "AAPL").status_code == 422
    long = [f"{number:040d}" for number in range(480)]  # the audit log keeps the list before and after
    assert put_limit(api, "ALLOWED_SYMBOLS", ",".join(long[:460])).status_code == 200
    assert put_limit(api, "ALLOWED_SYMBOLS", ",".join(long[1:461])).status_code == 200
    too_long = put_limit(api, "ALLOWED_SYMBOLS", ",".join(long))
    assert too_long.json()["errors"][0]["message"] == "The list may have at most 19,000 characters."


def test_permission_list_applies_only_to_its_scope(quoted_api):
    put_limit(quoted_api, "ALLOWED_SYMBOLS", "MSFT", "portfolio", "Income")
    put_limit(quoted_api, "ALLOWED_SYMBOLS", "MSFT", "strategy", "carry")
    put_limit(quoted_api, "ALLOWED_SYMBOLS", "MSFT", "user", "key:another")
    assert post_order(quoted_api, strategy="momentum").status_code == 201
    assert get_denial(post_order(quoted_api, strategy="carry"))["code"] == "NOT_PERMITTED"
    assert get_denial(post_order(quoted_api, portfolio_name="Income"))["code"] == "NOT_PERMITTED"


def test_permission_lists_only_narrow(quoted_api):
    put_limit(quoted_api, "ALLOWED_SYMBOLS", "MSFT", "user", get_own_name(quoted_api))
    put_limit(quoted_api, "ALLOWED_SYMBOLS", "AAPL,MSFT", "strategy", "momentum")
    put_limit(quoted_api, "ALLOWED_SYMBOLS", "AAPL", "user", "U1")
    assert get_denial(post_order(quoted_api, strategy="momentum"))["limit"] == "MSFT"
    assert get_denial(post_order(quoted_api, user_id="U1"))["limit"] == ""  # nothing is on both
    assert post_order(quoted_api, symbol="MSFT", strategy="momentum").status_code == 201


def test_user_list_applies_to_the_user_and_not_to_the_delegating_key(service, quoted_api):
    members = Members(service, quoted_api)
    trader = f"slack:{members.team}:UTRADER"
    headers = {"X-API-Key": members.key, "X-On-Behalf-Of": trader}
    put_limit(quoted_api, "ALLOWED_SYMBOLS", "MSFT", "user", trader)
    body = get_denial(quoted_api.post("/orders", TICKET, headers))
    assert (body["code"], body["asked"]) == ("NOT_PERMITTED", "AAPL")
    assert quoted_api.post("/orders", TICKET | {"symbol": "MSFT"}, headers).status_code == 201
    assert post_order(quoted_api).status_code == 201


def test_permission_lists_apply_to_reported_trades(quoted_api):
    assert quoted_api.post_trade(symbol="AAPL").status_code == 201
    put_limit(quoted_api, "ALLOWED_SYMBOLS", "MSFT", "portfolio", "Growth")
    put_limit(quoted_api, "ALLOWED_SIDES", "BUY", "user", get_own_name(quoted_api))
    response = quoted_api.post_trade(symbol="AAPL")
    assert (response.status_code, response.json()["type"].rpartition("/")[2]) == (403, "not-permitted")
    assert response.json()["detail"] == "You may not trade this symbol: AAPL."
    assert (
        quoted_api.post_trade(symbol="MSFT", side="SELL").json()["detail"]
        == "You may not trade this side: SELL."
    )
    assert quoted_api.post_trade(symbol="MSFT").status_code == 201
    assert quoted_api.post_trade(symbol="AAPL", portfolio_name="Income").status_code == 201
    assert quoted_api.get_portfolio()["total_trades"] == 2


def test_permission_lists_apply_to_each_trade_of_a_batch(quoted_api):
    put_limit(quoted_api, "ALLOWED_SYMBOLS", "MSFT")
    trades = [
        {"portfolio_name": "Growth", "symbol": symbol, "side": "BUY", "quantity": "1", "price": "1"}
        for symbol in ("MSFT", "AAPL")
    ]
    response = quoted_api.post("/trades:batch", {"trades": trades})
    assert [outcome["status"] for outcome in response.json()["outcomes"]] == [201, 403]


def test_permission_lists_apply_to_replacements_and_previews(quoted_api):
    order = post_order(quoted_api, type="LIMIT", limit_price="50").json()["id"]
    put_limit(quoted_api, "ALLOWED_SYMBOLS", "MSFT")
    assert get_denial(quoted_api.patch(f"/orders/{order}", {"quantity": "5"}))["code"] == "NOT_PERMITTED"
    previewed = quoted_api.post("/orders:preview", TICKET).json()
    assert previewed["denial"]["code"] == "NOT_PERMITTED"
    assert quoted_api.post(f"/orders/{order}/cancel", {}).status_code == 200


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"code": "ALLOWED_SYMBOLS", "value": ""}, "value"),
        ({"code": "ALLOWED_SYMBOLS", "value": "AAPL,,MSFT"}, "value"),
        ({"code": "ALLOWED_SYMBOLS", "value": "?"}, "value"),
        ({"code": "ALLOWED_SYMBOLS", "value": 5}, "value"),
        ({"code": "ALLOWED_SYMBOLS", "value": ["AAPL"]}, "value"),
        ({"code": "ALLOWED_SIDES", "value": "LONG"}, "value"),
        ({"code": "ALLOWED_PRODUCTS", "value": "XYZ"}, "value"),
        ({"code": "MAX_PRICE", "value": "AAPL"}, "value"),
        ({"code": "ALLOWED_SIDES", "value": "BUY", "scope": "instrument", "name": "AAPL"}, "scope"),
    ],
)
def test_invalid_permission_list_is_rejected_by_field(api, body, field):
    response = api.put("/limits", {"scope": "tenant"} | body)
    assert response.status_code == 422, response.text
    assert [error["field"] for error in response.json()["errors"]] == [field]
    assert api.get("/limits").json() == []
