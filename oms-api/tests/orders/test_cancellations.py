"""Orders of many portfolios are canceled one portfolio after another, even after a crash."""

from datetime import timedelta

import pytest

from app.clock import utc_now
from app.errors import Unavailable
from app.orders.service.cancellations import RESUME_DELAY

RESTING = {"type": "LIMIT", "limit_price": "90", "time_in_force": "GTC"}
BOOKS = ("Growth", "Income", "Macro")
KEY = {"Idempotency-Key": "end-of-day"}


@pytest.fixture
def trader(market):
    """Provide a trader with a resting order in each of three portfolios."""
    for name in BOOKS:
        market.open_portfolio(name).place_order(**RESTING, portfolio_name=name)
    return market


def cancel_all(api, headers=None, **body):
    answer = api.post("/orders:cancel-all", body, headers)
    assert answer.status_code == 200, answer.text
    return answer


def list_statuses(api):
    return {order["portfolio_name"]: order["status"] for order in api.get("/orders").json()}


@pytest.fixture
def break_after_first(trader, monkeypatch):
    """Provide a function after whose call only the first of the commands of cancellations is written."""
    service = trader.service.app.state.cancellations
    submit, sent = service._writer.submit, []

    class Broken:
        async def submit(self, command):
            sent.append(command)
            if len(sent) > 1:
                raise Unavailable("The process is gone.")
            return await submit(command)

    def begin():
        monkeypatch.setattr(service, "_writer", Broken())

    yield begin
    monkeypatch.undo()


def resume_cancellation(api, monkeypatch):
    service = api.service.app.state.cancellations
    later = utc_now() + RESUME_DELAY + timedelta(seconds=1)
    with monkeypatch.context() as patched:
        patched.setattr(service, "_now", lambda: later)
        api.service.client.portal.call(service.resume)


def test_orders_of_all_portfolios_are_cancelled(trader):
    body = cancel_all(trader).json()
    assert sorted(order["portfolio_name"] for order in body["orders"]) == sorted(BOOKS)
    assert body["pending_portfolios"] == []
    assert set(list_statuses(trader).values()) == {"CANCELED"}


@pytest.mark.any_database
def test_filters_apply_in_every_portfolio(trader):
    trader.place_order(**RESTING, portfolio_name="Income", strategy="pairs")
    assert len(cancel_all(trader, strategy="pairs").json()["orders"]) == 1
    assert cancel_all(trader, side="SELL").json()["orders"] == []
    assert cancel_all(trader, symbol="MSFT").json()["orders"] == []
    assert len(cancel_all(trader, symbol="AAPL").json()["orders"]) == 3


def test_interrupted_cancellation_is_named_and_resumed(trader, break_after_first, monkeypatch):
    break_after_first()
    body = cancel_all(trader).json()
    portfolio_names = [order["portfolio_name"] for order in body["orders"]]
    assert sorted(portfolio_names + body["pending_portfolios"]) == list(BOOKS)
    later = trader.place_order(**RESTING, portfolio_name=body["pending_portfolios"][0])
    monkeypatch.undo()
    resume_cancellation(trader, monkeypatch)
    assert trader.get_order(later["id"])["status"] == "ACCEPTED"  # it was placed after the request
    orders = [order for order in trader.get("/orders").json() if order["id"] != later["id"]]
    assert {order["status"] for order in orders} == {"CANCELED"}
    resume_cancellation(trader, monkeypatch)
    assert trader.get_order(later["id"])["status"] == "ACCEPTED"


def test_repeated_request_returns_the_first_orders_and_finishes_it(trader, break_after_first, monkeypatch):
    break_after_first()
    first = cancel_all(trader, KEY).json()["orders"]
    monkeypatch.undo()
    later = trader.place_order(**RESTING)
    again = cancel_all(trader, KEY)
    assert again.headers["Idempotent-Replayed"] == "true"
    ids = [order["id"] for order in again.json()["orders"]]
    assert first[0]["id"] in ids
    assert len(ids) == 3
    assert [order["id"] for order in cancel_all(trader, KEY).json()["orders"]] == ids
    assert trader.get_order(later["id"])["status"] == "ACCEPTED"


def test_key_of_another_request_is_refused(trader):
    cancel_all(trader, KEY, side="SELL")
    answer = trader.post("/orders:cancel-all", {"side": "BUY"}, KEY)
    assert (answer.status_code, answer.json()["type"].rpartition("/")[2]) == (409, "idempotency-key-reused")
    assert set(list_statuses(trader).values()) == {"ACCEPTED"}


@pytest.mark.any_database
def test_key_of_another_caller_is_a_new_request(trader):
    cancel_all(trader, KEY, side="SELL")
    other = trader.with_key(trader.service.create_key("admin", trader.tenant_id))
    assert len(cancel_all(other, KEY, side="BUY").json()["orders"]) == 3


def test_slow_cancellation_continues_after_its_response(trader, monkeypatch):
    service = trader.service.app.state.cancellations
    monkeypatch.setattr(service, "_timeout_seconds", 0)
    assert cancel_all(trader).json() == {
        "orders": [],
        "pending_portfolios": list(BOOKS),
        "unsettled": list(BOOKS),
    }
    portal = trader.service.client.portal

    async def wait():
        for task in list(service._tasks):
            await task

    portal.call(wait)
    assert set(list_statuses(trader).values()) == {"CANCELED"}
