"""Query parameters as people write them: letter case, status names of other systems, periods and times."""

import pytest

from tests.factories import build_ticket_body, build_trade_body

pytestmark = pytest.mark.any_database


def list_errors(response):
    assert response.status_code == 422, response.text
    return {error["field"]: error["message"] for error in response.json()["errors"]}


@pytest.mark.parametrize("side", ["buy", "Buy", "BUY"])
def test_side_filter_is_case_insensitive(api, side):
    assert api.post("/trade", build_trade_body(side=side)).json()["trade"]["side"] == "BUY"
    assert (
        api.post("/trades:batch", {"trades": [build_trade_body(side=side)]}).json()["outcomes"][0]["status"]
        == 201
    )
    assert (
        api.post("/orders", build_ticket_body(side=side, type="LIMIT", limit_price="1")).json()["side"]
        == "BUY"
    )
    assert len(api.get("/trades", side=side).json()) == 2
    assert len(api.get("/orders", side=side).json()) == 1
    assert len(api.get("/positions", side="LONG").json()) == 1
    assert api.get("/positions", side="Short").json() == []


@pytest.mark.parametrize("amount", ["-5", -5, "-0.5"])
def test_negative_amount_error_requires_a_positive_amount(api, amount):
    assert list_errors(api.post("/trade", build_trade_body(quantity=amount))) == {
        "quantity": "Must be positive."
    }
    ticket = build_ticket_body(quantity=amount, type="LIMIT", limit_price=amount)
    assert list_errors(api.post("/orders", ticket)) == {
        "quantity": "Must be positive.",
        "limit_price": "Must be positive.",
    }


def test_negative_amount_error_allows_zero_where_valid(api):
    response = api.post("/portfolios", {"name": "New", "opening_cash": "-5"})
    assert list_errors(response) == {"opening_cash": "Must not be negative."}


def test_status_filter_accepts_names_of_other_systems(api):
    api.record_trade()
    waiting = api.place_order(type="LIMIT", limit_price="1")["id"]
    canceled = api.place_order(type="LIMIT", limit_price="1")["id"]
    api.post(f"/orders/{canceled}/cancel", {})
    api.put("/limits", {"scope": "tenant", "code": "MAX_ORDER_QUANTITY", "value": "1"})
    denied = api.post("/orders", build_ticket_body(quantity="2", type="LIMIT", limit_price="1")).json()[
        "order_id"
    ]

    def found(status):
        response = api.get("/orders", status=status)
        assert response.status_code == 200, response.text
        return [order["id"] for order in response.json()]

    for name in ("cancelled", "CANCELLED", "Canceled"):
        assert found(name) == [canceled]
    assert found("pending") == [waiting]
    assert found("rejected") == found("denied") == [denied]
    message = list_errors(api.get("/orders", status="done"))["status"]
    assert "CANCELLED" in message


LISTS = ("/trades", "/orders", "/events", "/bars/AAPL", "/audit")


@pytest.mark.parametrize("path", LISTS)
def test_period_must_not_end_before_it_begins(api, path):
    early, late = "2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z"
    assert "from" in list_errors(api.get(path, **{"from": late, "to": early}))
    assert api.get(path, **{"from": early, "to": late}).status_code == 200
    assert api.get(path, **{"from": early, "to": early}).status_code == 200


def test_portfolio_cannot_be_read_at_a_future_instant(api):
    api.record_trade()
    assert "as_of" in list_errors(api.get("/portfolio/Growth", as_of="2999-01-01T00:00:00Z"))


@pytest.mark.parametrize("path", ["/", "/api/docs", "/api/v1/docs"])
def test_root_and_former_documentation_paths_redirect_to_the_documentation(service, path):
    response = service.client.get(path, follow_redirects=False)
    assert (response.status_code, response.headers["location"]) == (307, "/docs")
    assert service.client.get(path, follow_redirects=True).status_code == 200
