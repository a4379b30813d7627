"""POST /trade: the answer, and how a ticket is parsed."""

import re
from urllib.parse import quote

import pytest

from tests.factories import build_trade_body

pytestmark = pytest.mark.any_database

TRADE_ID = re.compile(r"T[0-9]{13}[0-9a-f]{12}")
INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")


def test_trade_response_contains_every_field(api):
    response = api.post(
        "/trade",
        b'{"symbol":"AAPL","quantity":100,"gmv":17500.00,"side":"BUY",'
        b'"portfolio_name":"Tech Portfolio","user_id":"U123"}',
    )
    assert response.status_code == 201
    assert response.headers["content-type"] == "application/json"
    body = response.json()
    trade = body["trade"]
    assert TRADE_ID.fullmatch(body["trade_id"])
    assert INSTANT.fullmatch(trade["executed_at"])
    assert INSTANT.fullmatch(trade["created_at"])
    assert re.fullmatch("[0-9a-f]{64}", trade["hash"])
    assert body == {
        "success": True,
        "trade_id": trade["trade_id"],
        "message": "Trade executed successfully",
        "trade": {
            "trade_id": trade["trade_id"],
            "sequence": 1,
            "kind": "trade",
            "symbol": "AAPL",
            "side": "BUY",
            "quantity": "100",
            "gmv": "17500.00",
            "price": "175.00",
            "charges": "0.00",
            "charges_percentage": "0.00",
            "realized_pnl": "0.00",
            "portfolio_name": "Tech Portfolio",
            "user_id": "U123",
            "source": trade["source"],
            "actor": None,
            "request_id": response.headers["X-Request-ID"],
            "currency": None,
            "fx_rate": None,
            "note": None,
            "timestamp": trade["executed_at"],
            "executed_at": trade["executed_at"],
            "backdated_reason": None,
            "created_at": trade["created_at"],
            "position": {"quantity": "100", "avg_cost": "175.00", "cost": "17500.00", "realized_pnl": "0.00"},
            "reverses": None,
            "reversed_by": None,
            "hash": trade["hash"],
        },
    }


def test_price_is_gmv_divided_by_quantity_to_eight_places(api):
    assert api.record_trade(quantity="3", gmv="100")["price"] == "33.33333333"
    assert api.record_trade(quantity="0.5", gmv="1")["price"] == "2.00"


def test_price_may_be_given_instead_of_the_gmv(api):
    trade = api.record_trade(quantity="0.12345678", price="10.01", gmv=None)
    assert (trade["gmv"], trade["price"]) == ("1.23580237", "10.01")  # 1.2358023678, half-even


def test_json_number_and_string_amounts_are_equivalent(api):
    body = b'{"symbol":"X","quantity":0.1,"price":3.33,"side":"BUY","portfolio_name":"P"}'
    trade = api.post("/trade", body).json()["trade"]
    assert (trade["quantity"], trade["gmv"]) == ("0.1", "0.333")


def test_json_number_of_fifteen_digits_is_exact(api):
    body = b'{"symbol":"X","quantity":100,"gmv":9999999.12345678,"side":"BUY","portfolio_name":"P"}'
    assert api.post("/trade", body).json()["trade"]["gmv"] == "9999999.12345678"


@pytest.mark.parametrize(
    ("sent", "booked"),
    [
        ("aapl ", "AAPL"),
        (" btc/usd", "BTC/USD"),
        ("brk.b", "BRK.B"),
        ("m&m", "M&M"),
        ("x_1-2", "X_1-2"),
        ("0", "0"),
        ("banknifty24dec53000ce", "BANKNIFTY24DEC53000CE"),
        ("a" * 40, "A" * 40),
    ],
)
def test_symbols_are_trimmed_and_uppercased(api, sent, booked):
    assert api.record_trade(symbol=sent)["symbol"] == booked


@pytest.mark.parametrize(
    "symbol", ["", " ", "/USD", ".A", "A B", "Ä", "A" * 41, "AAPL\u0000", "ＡＡＰＬ", "ſ"]
)
def test_invalid_symbol_is_rejected(api, symbol):
    response = api.post_trade(symbol=symbol)
    assert response.status_code == 422
    assert [bad["field"] for bad in response.json()["errors"]] == ["symbol"]


def test_portfolio_names_are_case_insensitive_and_keep_their_first_spelling(api):
    assert api.record_trade(portfolio_name="Größe")["portfolio_name"] == "Größe"
    assert api.record_trade(portfolio_name=" GRÖSSE ")["portfolio_name"] == "Größe"
    assert api.record_trade(portfolio_name="gro\u0308sse")["sequence"] == 3
    assert api.get("/portfolios").json() == ["Größe"]


@pytest.mark.parametrize(
    "name", ["", "  ", "a/b", "x" * 101, "a\u202eb", "a\u0000b", "a\nb", "\u200b", "\ue000"]
)
def test_invalid_portfolio_name_is_rejected(api, name):
    response = api.post_trade(portfolio_name=name)
    assert response.status_code == 422
    assert [bad["field"] for bad in response.json()["errors"]] == ["portfolio_name"]


@pytest.mark.parametrize(
    "name", ["x" * 100, "日本株", "R&D %_#?", "ß" * 100, "a\u00a0b", "東京\u3000市場", "'; DROP TABLE--"]
)
def test_portfolio_is_found_by_its_given_name(api, name):
    api.record_trade(portfolio_name=name)
    from_the_list = api.get("/portfolios").json()
    assert from_the_list == [name]
    assert api.get_portfolio(quote(name, safe=""))["portfolio_name"] == name
    assert len(api.list_trades(portfolio=name)) == 1


def test_labels_and_notes_are_trimmed_and_empty_ones_are_null(api):
    trade = api.record_trade(user_id=" U1 ", note=" rebalanced ")
    assert (trade["user_id"], trade["note"]) == ("U1", "rebalanced")
    trade = api.record_trade(user_id="", note=" ")
    assert (trade["user_id"], trade["note"]) == (None, None)


@pytest.mark.parametrize(("field", "length"), [("user_id", 100), ("note", 500)])
def test_labels_and_notes_have_a_maximum_length(api, field, length):
    assert api.post_trade(**{field: "x" * length}).status_code == 201
    response = api.post_trade(**{field: "x" * (length + 1)})
    assert (response.status_code, response.json()["errors"][0]["field"]) == (422, field)


def test_trade_source_is_the_name_of_the_api_key(service):
    api = service.create_client("trade")
    trade = api.record_trade(user_id="bootstrap")
    assert trade["source"].startswith("key-")


@pytest.mark.parametrize(
    "field",
    [
        "tenant_id",
        "trade_id",
        "sequence",
        "source",
        "actor",
        "request_id",
        "realized_pnl",
        "kind",
        "hash",
        "id",
    ],
)
def test_field_set_by_the_service_is_rejected(api, field):
    response = api.post("/trade", build_trade_body() | {field: 1})
    assert response.status_code == 422
    assert [(bad["field"], bad["code"]) for bad in response.json()["errors"]] == [(field, "extra_forbidden")]
    assert api.list_trades() == []


def test_every_invalid_field_is_reported_at_once(api):
    response = api.post("/trade", {"symbol": "?", "quantity": 0, "gmv": "x", "side": "HOLD"})
    fields = {bad["field"] for bad in response.json()["errors"]}
    assert fields == {"symbol", "quantity", "gmv", "side", "portfolio_name"}


@pytest.mark.parametrize("pricing", [{"gmv": None}, {"gmv": "1", "price": "1"}])
def test_trade_takes_either_price_or_gmv(api, pricing):
    response = api.post_trade(**pricing)
    assert (response.status_code, response.json()["errors"][0]["code"]) == (422, "priced_once")


@pytest.mark.parametrize("body", [b"[]", b"1", b'"x"', b"null", b"true"])
def test_body_that_is_not_an_object_is_rejected(api, body):
    assert api.post("/trade", body).status_code == 422
