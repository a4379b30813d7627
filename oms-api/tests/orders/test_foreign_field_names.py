"""Field names of other brokers' APIs: each refusal names the field to use instead."""

import pytest

from app.orders.schemas.other_names import OTHER_FILTERS, OTHER_NAMES
from app.orders.schemas.requests import CancelAllIn, ChangesIn, CloseIn, GroupIn, TicketIn
from tests.factories import build_ticket_body, build_trade_body

pytestmark = pytest.mark.any_database

ALPACA = {"symbol": "AAPL", "qty": "1", "side": "buy", "type": "market", "time_in_force": "day"}
KITE = {
    "tradingsymbol": "INFY",
    "exchange": "NSE",
    "transaction_type": "BUY",
    "order_type": "SL",
    "quantity": 1,
    "price": 100,
    "trigger_price": 101,
    "product": "CNC",
    "validity": "DAY",
}


def list_messages(response):
    """Return the message for each field of a refused request."""
    assert response.status_code == 422, response.text
    return {error["field"]: error["message"] for error in response.json()["errors"]}


def test_alpaca_order_fields_are_answered_with_our_fields(api):
    assert list_messages(api.post("/orders", ALPACA)) == {
        "portfolio_name": "This field is required.",
        "qty": "Unknown field `qty`. Did you mean `quantity`?",
    }


def test_kite_order_fields_are_answered_with_our_fields(api):
    messages = list_messages(api.post("/orders", KITE))
    assert messages["transaction_type"] == "Unknown field `transaction_type`. Did you mean `side`?"
    assert messages["order_type"] == "Unknown field `order_type`. Did you mean `type`?"
    assert messages["trigger_price"] == "Unknown field `trigger_price`. Did you mean `stop_price`?"
    assert all(messages[name] != f"Unknown field `{name}`." for name in KITE if name in messages)


def test_alpaca_and_kite_values_are_case_insensitive(market):
    order = market.place_order(side="buy", type="sl-m", stop_price="120", product="mis", time_in_force="day")
    assert (order["side"], order["type"], order["product"]) == ("BUY", "STOP", "MIS")
    orders = market.get("/orders", status="accepted", side="buy").json()
    assert [item["id"] for item in orders] == [order["id"]]


@pytest.mark.parametrize("name", OTHER_NAMES)
def test_foreign_field_names_do_not_overlap_with_ours(name):
    models = (TicketIn, GroupIn, ChangesIn, CloseIn, CancelAllIn)
    assert not any(name in model.model_fields for model in models)


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("/orders:group", {"kind": "OCO", "orders": [build_ticket_body(qty="1")] * 2}, "orders.0.qty"),
        ("/orders:preview", build_ticket_body(qty="1"), "qty"),
        ("/orders:cancel-all", {"qty": "1"}, "qty"),
        ("/positions:close", {"portfolio_name": "Growth", "symbol": "AAPL", "qty": "1"}, "qty"),
    ],
)
def test_every_order_body_suggests_our_field_names(api, path, body, field):
    assert list_messages(api.post(path, body))[field] == "Unknown field `qty`. Did you mean `quantity`?"


def test_replacement_body_suggests_our_field_names(market):
    order = market.place_order(type="LIMIT", limit_price="90")
    messages = list_messages(market.patch(f"/orders/{order['id']}", {"price": "91"}))
    assert messages == {"price": "Unknown field `price`. Did you mean `limit_price`?"}


def test_unknown_field_without_a_match_gets_no_suggestion(api):
    assert (
        list_messages(api.post("/orders", build_ticket_body(colour="red")))["colour"]
        == "Unknown field `colour`."
    )


def test_misspelt_field_gets_the_nearest_name(api):
    def of_trade(**body):
        return list_messages(api.post("/trade", build_trade_body(**body)))

    assert of_trade(qty="1") == {"qty": "Unknown field `qty`. Did you mean `quantity`?"}
    assert of_trade(Symbols="A") == {"Symbols": "Unknown field `Symbols`. Did you mean `symbol`?"}
    assert of_trade(xyz="A") == {"xyz": "Unknown field `xyz`."}
    leg = list_messages(
        api.post("/orders", build_ticket_body(stop_loss={"stop_price": "1", "limit_prise": "1"}))
    )
    assert leg == {"stop_loss.limit_prise": "Unknown field `limit_prise`. Did you mean `limit_price`?"}
    user = list_messages(api.post("/portfolios", {"name": "A", "base_curency": "USD"}))
    assert user == {"base_curency": "Unknown field `base_curency`. Did you mean `base_currency`?"}


@pytest.mark.parametrize("name", sorted(OTHER_FILTERS))
def test_foreign_list_filter_gets_our_filter_as_a_suggestion(api, name):
    messages = list_messages(api.get("/orders", **{name: "x"}))
    assert messages == {name: f"Unknown field `{name}`. {OTHER_FILTERS[name]}"}


@pytest.mark.parametrize("status", ["open", "closed", "all"])
def test_open_and_closed_are_not_order_states(api, status):
    assert "open=true" in list_messages(api.get("/orders", status=status))["status"]


NO = "A {} order has no {}: leave it out, or send type {}."


@pytest.mark.parametrize(
    ("changes", "field", "message"),
    [
        ({"type": "LIMIT"}, "limit_price", "A LIMIT order needs limit_price."),
        ({"limit_price": "9"}, "limit_price", NO.format("MARKET", "limit_price", "LIMIT")),
        ({"stop_price": "9"}, "stop_price", NO.format("MARKET", "stop_price", "STOP")),
        ({"trail_percent": "9"}, "trail_percent", NO.format("MARKET", "trail_percent", "TRAILING_STOP")),
        (
            {"type": "STOP", "stop_price": "9", "limit_price": "9"},
            "limit_price",
            NO.format("STOP", "limit_price", "STOP_LIMIT"),
        ),
        (
            {"type": "LIMIT", "stop_price": "9", "limit_price": "9"},
            "stop_price",
            NO.format("LIMIT", "stop_price", "STOP_LIMIT"),
        ),
        ({"time_in_force": "GTD"}, "expires_at", "A GTD order needs `expires_at`."),
        (
            {"expires_at": "2099-01-01T00:00:00Z"},
            "expires_at",
            "Only a GTD order has `expires_at`; leave it out, or send `time_in_force` GTD.",
        ),
        ({"extended_hours": "true"}, "extended_hours", "Must be true or false, without quotes."),
    ],
)
def test_rejected_ticket_lists_the_accepted_values(api, changes, field, message):
    assert list_messages(api.post_order(**changes))[field] == message


def test_method_not_allowed_lists_the_allowed_methods(api):
    response = api.put("/orders:preview", {})
    assert (response.status_code, response.headers["allow"]) == (405, "POST")
    assert response.json()["detail"] == "PUT is not supported at this address. Use POST."
