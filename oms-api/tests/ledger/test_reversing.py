"""POST /trades/{trade_id}:reverse: once and with a reason; the books equal those without the trade."""

from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.ledger.rules.accounting import Fill, Side, replay_fills


def test_reversal_is_a_row_that_names_the_reversed_trade(api):
    trade = api.buy("100", "10", user_id="U1")
    response = api.post_reversal(trade["trade_id"], " Reported twice ")
    assert response.status_code == 201
    body = response.json()
    reversal = body["trade"]
    assert (body["success"], body["message"], body["trade_id"]) == (
        True,
        "Trade reversed",
        reversal["trade_id"],
    )
    expected = {
        "kind": "reversal",
        "sequence": 2,
        "reverses": trade["trade_id"],
        "note": "Reported twice",
        "side": "SELL",
    }
    assert expected.items() <= reversal.items()
    assert reversal["position"] == {
        "quantity": "0",
        "avg_cost": "0.00",
        "cost": "0.00",
        "realized_pnl": "0.00",
    }
    assert api.get(f"/trades/{trade['trade_id']}").json()["reversed_by"] == reversal["trade_id"]


def test_documented_example_can_be_reversed_to_the_first_purchase(api):
    api.buy("100", "10")
    second = api.buy("100", "20")
    position = api.post_reversal(second["trade_id"]).json()["trade"]["position"]
    assert position == {"quantity": "100", "avg_cost": "10.00", "cost": "1000.00", "realized_pnl": "0.00"}


def test_opening_purchase_can_be_reversed_after_the_sale(api):
    first = api.buy("100", "10")
    api.sell("100", "12")
    reversal = api.post_reversal(first["trade_id"]).json()["trade"]
    assert reversal["realized_pnl"] == "-200.00"
    assert reversal["position"]["quantity"] == "-100"
    assert reversal["position"]["avg_cost"] == "12.00"


def test_reversal_restores_counters_and_cash(api):
    before = api.get_recorded_values(api.buy("1", "1")["portfolio_name"])
    trade = api.sell("3", "7")
    assert api.get_portfolio()["cash"] == "1000020.00"
    api.post_reversal(trade["trade_id"])
    after = api.get_recorded_values()
    assert after == before | {"last_sequence": 3}


def test_trade_can_be_reversed_once(api):
    trade = api.record_trade()
    reversal = api.post_reversal(trade["trade_id"]).json()
    response = api.post_reversal(trade["trade_id"])
    assert response.status_code == 409
    assert reversal["trade_id"] in response.json()["detail"]
    assert len(api.list_trades()) == 2


def test_reversal_cannot_be_reversed(api):
    reversal = api.post_reversal(api.record_trade()["trade_id"]).json()
    assert api.post_reversal(reversal["trade_id"]).status_code == 409


@pytest.mark.parametrize(
    "trade_id", ["T1", "T17636400000000000a1b2c3d4", "%00", "%E2%80%AE", "x" * 400, "a%2Fb"]
)
def test_reversal_of_an_unknown_trade_is_not_found(api, trade_id):
    assert api.post_reversal(trade_id).status_code in {404, 422}


def test_reversal_of_another_tenants_trade_is_not_found(api, service):
    trade = service.create_client().record_trade()
    response = api.post_reversal(trade["trade_id"])
    assert response.status_code == 404
    assert (
        response.json()["detail"]
        == f"There is no trade {trade['trade_id']!r}; list the trades with `GET /trades`."
    )


@pytest.mark.parametrize(
    "body", [{}, {"reason": ""}, {"reason": " "}, {"reason": "x" * 501}, {"reason": 1}, {"reason": "a\u0000"}]
)
def test_reversal_requires_a_reason(api, body):
    trade = api.record_trade()
    response = api.post(f"/trades/{trade['trade_id']}:reverse", body)
    assert (response.status_code, response.json()["errors"][0]["field"]) == (422, "reason")
    assert len(api.list_trades()) == 1


def test_unknown_field_in_the_body_is_rejected(api):
    trade = api.record_trade()
    response = api.post(f"/trades/{trade['trade_id']}:reverse", {"reason": "x", "kind": "trade"})
    assert (response.status_code, response.json()["errors"][0]["field"]) == (422, "kind")


def test_repeated_reversal_returns_the_same_reversal(api):
    trade = api.record_trade()
    first, repeated_response = (api.post_reversal(trade["trade_id"], key="R") for _ in range(2))
    assert (repeated_response.status_code, repeated_response.json()) == (201, first.json())
    assert repeated_response.headers["Idempotent-Replayed"] == "true"
    assert "Idempotent-Replayed" not in first.headers
    assert api.post_reversal(trade["trade_id"], "Another reason", key="R").status_code == 409


steps = st.tuples(
    st.sampled_from(["BUY", "SELL"]),
    st.sampled_from(["1", "2", "3", "0.5", "7.00000001"]),
    st.sampled_from(["1", "10", "33.33333333", "0.07"]),
    st.sampled_from(["X", "Y"]),
)


@settings(max_examples=15)
@given(st.lists(steps, min_size=1, max_size=8), st.data())
def test_books_after_reversals_equal_a_replay_of_the_other_trades(service, history, strategy):
    api = service.create_client()
    booked = [
        api.record_trade(side=side, quantity=q, price=p, gmv=None, symbol=s) for side, q, p, s in history
    ]
    undone = strategy.draw(st.lists(st.sampled_from(range(len(booked))), unique=True, max_size=4))
    for index in undone:
        assert api.post_reversal(booked[index]["trade_id"]).status_code == 201
    standing = [trade for index, trade in enumerate(booked) if index not in undone]
    book = api.get_portfolio()
    for symbol, body in book["positions"].items():
        fills = [
            Fill(Side(trade["side"]), Decimal(trade["quantity"]), Decimal(trade["gmv"]))
            for trade in standing
            if trade["symbol"] == symbol
        ]
        expected = replay_fills(fills)
        assert Decimal(body["quantity"]) == expected.quantity
        assert Decimal(body["cost"]) == expected.cost
        assert Decimal(body["realized_pnl"]) == expected.realized_pnl
    spent = sum((Side(trade["side"]).sign * Decimal(trade["gmv"]) for trade in standing), Decimal(0))
    assert Decimal(book["cash"]) == 1_000_000 - spent
    assert book["total_trades"] == len(standing)
