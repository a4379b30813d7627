"""Lists of permitted symbols, sides and products for users, keys, strategies and portfolios."""

import pytest

from tests.access.rig import Members
from tests.risk.risk_requests import events, put_limit, put_quote, try_order

pytestmark = pytest.mark.any_database

TICKET = {"portfolio_name": "Growth", "symbol": "AAPL", "side": "BUY", "quantity": "10", "type": "MARKET"}


@pytest.fixture
def quoted(api):
    put_quote(api)
    put_quote(api, "MSFT")
    return api.open_portfolio()


def denial(answer):
    assert answer.status_code == 422, answer.text
    return answer.json()["denial"]


def own_name(api):
    """How lists name the desk's key."""
    keys = api.get("/api-keys").json()
    return f"key:{keys[0]['name']}"


def test_permission_list_is_set_shown_and_deleted(api):
    response = put_limit(api, "allowed_symbols", "msft, AAPL,msft", "portfolio", "Growth")
    assert response.status_code == 200, response.text
    assert response.json()["value"] == "AAPL,MSFT"
    assert api.get("/limits").json() == [response.json()]
    assert events(api, "limit.changed")[0]["data"]["after"] == {"value": "AAPL,MSFT", "until": None}
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
def test_unlisted_order_is_denied(quoted, code, value, passing, denied, asked, scope):
    named = {"tenant": None, "portfolio": "Growth", "user": own_name(quoted), "strategy": "momentum"}
    put_limit(quoted, code, value, scope, named[scope])
    ticket = {"strategy": "momentum"}
    assert try_order(quoted, **ticket, **passing).status_code == 201
    body = denial(try_order(quoted, **ticket, **denied))
    assert (body["code"], body["limit"], body["asked"]) == ("NOT_PERMITTED", value, asked)
    assert body["largest_passing"] == "0"


def test_permission_list_length_is_limited(api):
    words = [f"{number:020d}" for number in range(901)]
    assert put_limit(api, "ALLOWED_SYMBOLS", ",".join(words[:900])).status_code == 200
    assert put_limit(api, "ALLOWED_SYMBOLS", ",".join(words[:900])).status_code == 200  # a trail of both
    assert put_limit(api, "ALLOWED_SYMBOLS", ",".join(words)).status_code == 422
    assert put_limit(api, "ALLOWED_SYMBOLS", "AAPL," * 4_000 + "AAPL").status_code == 422
    long = [f"{number:040d}" for number in range(480)]  # the audit trail keeps the list before and after
    assert put_limit(api, "ALLOWED_SYMBOLS", ",".join(long[:460])).status_code == 200
    assert put_limit(api, "ALLOWED_SYMBOLS", ",".join(long[1:461])).status_code == 200
    too_long = put_limit(api, "ALLOWED_SYMBOLS", ",".join(long))
    assert too_long.json()["errors"][0]["message"] == "The list may have at most 19,000 characters."


def test_permission_list_applies_only_to_its_scope(quoted):
    put_limit(quoted, "ALLOWED_SYMBOLS", "MSFT", "portfolio", "Income")
    put_limit(quoted, "ALLOWED_SYMBOLS", "MSFT", "strategy", "carry")
    put_limit(quoted, "ALLOWED_SYMBOLS", "MSFT", "user", "key:another")
    assert try_order(quoted, strategy="momentum").status_code == 201
    assert denial(try_order(quoted, strategy="carry"))["code"] == "NOT_PERMITTED"
    assert denial(try_order(quoted, portfolio_name="Income"))["code"] == "NOT_PERMITTED"


def test_permission_lists_only_narrow(quoted):
    put_limit(quoted, "ALLOWED_SYMBOLS", "MSFT", "user", own_name(quoted))
    put_limit(quoted, "ALLOWED_SYMBOLS", "AAPL,MSFT", "strategy", "momentum")
    put_limit(quoted, "ALLOWED_SYMBOLS", "AAPL", "user", "U1")
    assert denial(try_order(quoted, strategy="momentum"))["limit"] == "MSFT"
    assert denial(try_order(quoted, user_id="U1"))["limit"] == ""  # nothing is on both
    assert try_order(quoted, symbol="MSFT", strategy="momentum").status_code == 201


def test_user_list_applies_to_the_user_and_not_to_the_delegating_key(service, quoted):
    members = Members(service, quoted)
    trader = f"slack:{members.team}:UTRADER"
    headers = {"X-API-Key": members.key, "X-On-Behalf-Of": trader}
    put_limit(quoted, "ALLOWED_SYMBOLS", "MSFT", "user", trader)
    body = denial(quoted.post("/orders", TICKET, headers))
    assert (body["code"], body["asked"]) == ("NOT_PERMITTED", "AAPL")
    assert quoted.post("/orders", TICKET | {"symbol": "MSFT"}, headers).status_code == 201
    assert try_order(quoted).status_code == 201


def test_permission_lists_apply_to_reported_trades(quoted):
    assert quoted.report(symbol="AAPL").status_code == 201
    put_limit(quoted, "ALLOWED_SYMBOLS", "MSFT", "portfolio", "Growth")
    put_limit(quoted, "ALLOWED_SIDES", "BUY", "user", own_name(quoted))
    refused = quoted.report(symbol="AAPL")
    assert (refused.status_code, refused.json()["type"].rpartition("/")[2]) == (403, "not-permitted")
    assert refused.json()["detail"] == "You may not trade this symbol: AAPL."
    assert quoted.report(symbol="MSFT", side="SELL").json()["detail"] == "You may not trade this side: SELL."
    assert quoted.report(symbol="MSFT").status_code == 201
    assert quoted.report(symbol="AAPL", portfolio_name="Income").status_code == 201
    assert quoted.portfolio()["total_trades"] == 2


def test_permission_lists_apply_to_each_trade_of_a_batch(quoted):
    put_limit(quoted, "ALLOWED_SYMBOLS", "MSFT")
    trades = [
        {"portfolio_name": "Growth", "symbol": symbol, "side": "BUY", "quantity": "1", "price": "1"}
        for symbol in ("MSFT", "AAPL")
    ]
    response = quoted.post("/trades:batch", {"trades": trades})
    assert [outcome["status"] for outcome in response.json()["outcomes"]] == [201, 403]


def test_permission_lists_apply_to_replacements_and_previews(quoted):
    order = try_order(quoted, type="LIMIT", limit_price="50").json()["id"]
    put_limit(quoted, "ALLOWED_SYMBOLS", "MSFT")
    assert denial(quoted.patch(f"/orders/{order}", {"quantity": "5"}))["code"] == "NOT_PERMITTED"
    previewed = quoted.post("/orders:preview", TICKET).json()
    assert previewed["denial"]["code"] == "NOT_PERMITTED"
    assert quoted.post(f"/orders/{order}/cancel", {}).status_code == 200


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
