"""The kill switch over REST: its scope, its effect, its delay and its answer."""

import threading
import time

import pytest
from sqlalchemy import text

from app.ledger.models import Portfolio
from tests.risk.risk_requests import list_events, post_order, put_limit, set_quote, set_switch
from tests.support.conditions import wait_until


@pytest.fixture
def quoted_api(api):
    set_quote(api)
    return api


def test_switches_are_empty_initially(api):
    body = api.get("/kill-switch").json()
    assert body == [
        {"scope": "tenant", "name": None, "state": "ACTIVE", "reason": None, "set_by": None, "set_at": None}
    ]


def test_tenant_halt_rejects_orders_and_reported_trades(quoted_api):
    response = set_switch(quoted_api, "HALTED", reason="Bad prices")
    assert response.status_code == 200, response.text
    body = response.json()
    assert (body["scope"], body["state"], body["reason"]) == ("tenant", "HALTED", "Bad prices")
    denied = post_order(quoted_api)
    assert (denied.status_code, denied.json()["denial"]["code"]) == (422, "HALTED")
    assert quoted_api.post_trade().status_code == 422
    assert set_switch(quoted_api, "ACTIVE").status_code == 200
    assert post_order(quoted_api).status_code == 201
    assert quoted_api.post_trade().status_code == 201


def test_portfolio_halt_leaves_other_portfolios_active(quoted_api):
    quoted_api.record_trade()
    set_switch(quoted_api, "HALTED", "portfolio", "growth")
    assert post_order(quoted_api).json()["denial"]["code"] == "HALTED"
    assert quoted_api.post_trade().status_code == 422
    assert post_order(quoted_api, portfolio_name="Income").status_code == 201
    assert quoted_api.post_trade(portfolio_name="Income").status_code == 201


def test_portfolio_created_after_a_halt_is_halted(quoted_api):
    set_switch(quoted_api, "HALTED")
    assert quoted_api.post_trade(portfolio_name="New").status_code == 422
    assert post_order(quoted_api, portfolio_name="Newer").status_code == 422
    set_switch(quoted_api, "ACTIVE")
    set_switch(quoted_api, "HALTED", "portfolio", "Newest")
    assert quoted_api.post_trade(portfolio_name="Newest").status_code == 422
    assert post_order(quoted_api, portfolio_name="Newest").status_code == 422


def test_strategy_halt_leaves_other_strategies_active(quoted_api):
    set_switch(quoted_api, "HALTED", "strategy", "momentum")
    assert post_order(quoted_api, strategy="momentum").json()["denial"]["code"] == "HALTED"
    assert post_order(quoted_api, strategy="carry").status_code == 201
    assert post_order(quoted_api).status_code == 201


def test_reducing_allows_orders_that_reduce_a_position(quoted_api):
    assert post_order(quoted_api, quantity="10").status_code == 201
    set_switch(quoted_api, "REDUCING", "portfolio", "Growth")
    denied = post_order(quoted_api, side="SELL", quantity="11").json()["denial"]
    assert (denied["code"], denied["largest_passing"]) == ("REDUCING", "10")
    resting = post_order(quoted_api, side="SELL", quantity="4", type="LIMIT", limit_price="105")
    assert resting.status_code == 201, resting.text
    denied = post_order(quoted_api, side="SELL", quantity="7").json()["denial"]
    assert (denied["limit"], denied["largest_passing"]) == ("6", "6")
    assert post_order(quoted_api, side="SELL", quantity="6").status_code == 201


def test_cancels_are_allowed_while_halted(quoted_api):
    quoted_api.record_trade()
    order = post_order(quoted_api, side="SELL", type="LIMIT", limit_price="150", quantity="1").json()
    set_switch(quoted_api, "HALTED")
    cancelled = quoted_api.post(f"/orders/{order['id']}/cancel", {})
    assert (cancelled.status_code, cancelled.json()["status"]) == (200, "CANCELED"), cancelled.text


def test_every_switch_change_is_listed_and_published(api):
    set_switch(api, "HALTED", "portfolio", "Growth", reason="Bad prices")
    set_switch(api, "REDUCING")
    set_switch(api, "ACTIVE", "portfolio", "Growth")
    body = api.get("/kill-switch").json()
    assert [(row["scope"], row["name"], row["state"]) for row in body] == [
        ("tenant", None, "REDUCING"),
        ("portfolio", "Growth", "ACTIVE"),
    ]
    events = list_events(api, "kill_switch.*")
    assert [(item["type"], item["data"]["name"]) for item in events] == [
        ("kill_switch.activated", "Growth"),
        ("kill_switch.reducing", None),
        ("kill_switch.halted", "Growth"),
    ]
    assert events[2]["data"]["reason"] == "Bad prices"


def test_repeated_switch_request_changes_nothing(api):
    first = set_switch(api, "HALTED", key="K1")
    set_switch(api, "ACTIVE")
    again = set_switch(api, "HALTED", key="K1")
    assert again.headers["Idempotent-Replayed"] == "true"
    assert again.json()["set_at"] == first.json()["set_at"]
    assert api.get("/kill-switch").json()[0]["state"] == "ACTIVE"
    assert set_switch(api, "REDUCING", key="K1").status_code == 409


def test_person_who_stopped_trading_cannot_resume_it(service, api):
    api.claim_workspace("TSTOP")
    alice, bob = (create_person_client(api, f"slack:TSTOP:U{number}") for number in (1, 2))
    for state in ("HALTED", "REDUCING"):
        assert set_switch(alice, state).status_code == 200
        refused = set_switch(alice, "ACTIVE")
        assert (refused.status_code, refused.json()["type"].rpartition("/")[2]) == (403, "own-stop")
        assert api.get("/kill-switch").json()[0]["state"] == state
    response = alice.post("/api-keys", {"name": "alice's key", "scopes": ["risk"]})
    assert set_switch(api.with_key(response.json()["key"]), "ACTIVE").status_code == 403
    assert set_switch(bob, "ACTIVE").status_code == 200
    assert set_switch(bob, "ACTIVE").status_code == 200  # it is ACTIVE already


def test_key_without_a_person_and_a_person_resume_each_others_stops(service, api):
    api.claim_workspace("TRESUME")
    alice = create_person_client(api, "slack:TRESUME:U1")
    set_switch(alice, "HALTED")
    assert set_switch(api, "ACTIVE").status_code == 200
    set_switch(api, "HALTED")
    assert set_switch(alice, "ACTIVE").status_code == 200


def create_person_client(api, name):
    """Return a client that acts for an administrator of the tenant."""
    response = api.post("/users", {"name": name, "role": "admin", "person": name, "portfolios": None})
    assert response.status_code == 201, response.text
    return OnBehalf(api.with_key(api.service.create_key("admin act_as", api.tenant_id)), name)


class OnBehalf:
    """Sends requests for a person."""

    def __init__(self, api, name):
        self._api, self._headers = api, {"X-On-Behalf-Of": name}

    def post(self, path, body, headers=None):
        return self._api.post(path, body, self._headers | (headers or {}))


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"scope": "tenant", "name": "Growth", "state": "HALTED"}, "name"),
        ({"scope": "portfolio", "state": "HALTED"}, "name"),
        ({"scope": "user", "name": "U1", "state": "HALTED"}, "scope"),
        ({"scope": "tenant", "state": "PAUSED"}, "state"),
        ({"scope": "tenant", "state": "HALTED", "flatten": "yes"}, "flatten"),
        ({"scope": "tenant", "state": "HALTED", "exits": "sell"}, "exits"),
        ({"scope": "tenant", "state": "REDUCING", "exits": "cancel"}, "exits"),
        ({"scope": "tenant", "state": "HALTED", "reason": "a\u0000b"}, "reason"),
    ],
)
def test_invalid_switch_request_is_rejected_by_field(api, body, field):
    response = api.post("/kill-switch", body)
    assert response.status_code == 422, response.text
    assert [error["field"] for error in response.json()["errors"]] == [field]


def test_switch_requires_the_risk_role_and_stops_one_tenant_only(service, api):
    trader = service.create_client("trade")
    assert set_switch(trader, "HALTED").status_code == 403
    set_switch(api, "HALTED")
    assert trader.post_trade().status_code == 201
    assert trader.get("/kill-switch").json()[0]["state"] == "ACTIVE"


def test_halt_applies_immediately_in_another_process(service, api, serve_another):
    """Another process that has just read the switches applies the halt to its next order."""
    set_quote(api)
    other = serve_another(api)
    assert post_order(other).status_code == 201
    assert other.post_trade().status_code == 201
    assert set_switch(api, "HALTED").status_code == 200
    assert post_order(other).status_code == 422
    assert other.post_trade().status_code == 422


def test_halt_applies_under_load(api):
    """Nothing that reached the books was accepted after the halt was answered."""
    api.record_trade()
    stop, responses = threading.Event(), []

    def trade():
        while not stop.is_set():
            begun = time.monotonic()
            status = api.post_trade(quantity="1", gmv="1").status_code
            responses.append((begun, time.monotonic(), status))

    threads = [threading.Thread(target=trade) for _ in range(4)]
    for thread in threads:
        thread.start()
    try:
        while len(responses) < 40:
            threading.Event().wait(0.005)
        assert set_switch(api, "HALTED", "portfolio", "Growth").status_code == 200
        halted = time.monotonic()
        settled = api.get_portfolio()["last_sequence"]
        while not any(begun > halted for begun, _, _ in responses):
            threading.Event().wait(0.005)
    finally:
        stop.set()
        for thread in threads:
            thread.join(60)
    assert {status for begun, _, status in responses if begun > halted} == {422}
    assert api.get_portfolio()["last_sequence"] == settled


def test_halt_is_answered_while_a_portfolio_is_locked(service, api, backend):
    """The halt applies to all others, names the locked portfolio, and applies to it once it is unlocked."""
    if backend == "sqlite":
        return  # there is one lock there, and nobody can trade while it is held
    api.record_trade(portfolio_name="Held")
    api.record_trade(portfolio_name="Free")
    with service.engine.connect() as foreign, foreign.begin() as holding:
        foreign.execute(
            text("SELECT 1 FROM portfolios WHERE tenant_id = :t AND name = 'Held' FOR UPDATE"),
            {"t": api.tenant_id},
        )
        response = set_switch(api, "HALTED")  # it would not be answered while the lock is held
        assert (
            response.status_code,
            response.json()["pending_portfolios"],
            response.json()["portfolios"],
        ) == (
            200,
            ["Held"],
            1,
        )
        assert api.post_trade(portfolio_name="Free").status_code == 422
        holding.rollback()
    wait_until(lambda: read_state(service, api, "Held") == "HALTED")
    assert api.post_trade(portfolio_name="Held").status_code == 422


def test_orders_of_a_locked_portfolio_are_cancelled_when_it_is_unlocked(service, api, backend):
    """The answer does not wait for them, and names the portfolio; no quote fills them meanwhile."""
    if backend == "sqlite":
        return  # there is one lock there
    set_quote(api)
    names = ("Held", "Free")
    resting = {"type": "LIMIT", "limit_price": "90", "time_in_force": "GTC"}
    ids = {name: post_order(api, portfolio_name=name, **resting).json()["id"] for name in names}
    with service.engine.connect() as foreign, foreign.begin() as holding:
        foreign.execute(
            text("SELECT 1 FROM portfolios WHERE tenant_id = :t AND name = 'Held' FOR UPDATE"),
            {"t": api.tenant_id},
        )
        body = set_switch(api, "HALTED").json()
        assert "Held" in body["pending_portfolios"]
        assert ids["Held"] not in body["canceled"]
        wait_until(lambda: api.get_order(ids["Free"])["status"] == "CANCELED")
        assert api.get_order(ids["Held"])["status"] == "ACCEPTED"
        holding.rollback()
    wait_until(lambda: api.get_order(ids["Held"])["status"] == "CANCELED")


def test_strategy_name_ignores_variants_of_spaces_and_dashes(quoted_api):
    set_switch(quoted_api, "HALTED", "strategy", "mean\u2013reversion  1")
    for name in ("mean-reversion 1", "mean\u2014reversion 1", "mean-reversion\u00a01"):
        assert post_order(quoted_api, strategy=name).json()["denial"]["code"] == "HALTED"
    assert post_order(quoted_api, strategy="mean reversion 1").status_code == 201
    assert post_order(quoted_api, strategy="mean-reversion\u034f 1").status_code == 422


def test_strategy_halt_waits_for_running_batches(service, api, backend):
    """Its portfolios' rows do not change by it: their locks are taken all the same."""
    if backend == "sqlite":
        return  # there is one lock there
    api.record_trade(portfolio_name="Held")
    with service.engine.connect() as foreign, foreign.begin() as holding:
        foreign.execute(
            text("SELECT 1 FROM portfolios WHERE tenant_id = :t AND name = 'Held' FOR UPDATE"),
            {"t": api.tenant_id},
        )
        assert set_switch(api, "HALTED", "strategy", "momentum").json()["pending_portfolios"] == ["Held"]
        holding.rollback()
    assert set_switch(api, "HALTED", "strategy", "momentum").json()["pending_portfolios"] == []


def test_halt_reaches_a_portfolio_that_is_being_created(service, api, backend):
    """Its creator has read the switches before the change, and commits after it."""
    if backend == "sqlite":
        return  # there is one lock there
    api.record_trade(portfolio_name="Held")
    columns = [column.name for column in Portfolio.__table__.columns]
    values = {"id": "id + 1", "name": "'Late'", "name_key": "'late'", "trading_state": "'ACTIVE'"}
    copied = ", ".join(values.get(name, name) for name in columns)
    here = "FROM portfolios WHERE tenant_id = :t AND name = 'Held'"
    with service.engine.connect() as maker, service.engine.connect() as holder:
        copy = f"INSERT INTO portfolios ({', '.join(columns)}) SELECT {copied} {here}"
        maker.execute(text(copy), {"t": api.tenant_id})
        holder.execute(text(f"SELECT 1 {here} FOR UPDATE"), {"t": api.tenant_id})
        assert set_switch(api, "HALTED").json()["pending_portfolios"] == ["Held"]
        maker.commit()
        holder.rollback()
    wait_until(lambda: read_state(service, api, "Late") == "HALTED")
    assert api.post_trade(portfolio_name="Late").status_code == 422


def read_state(service, api, name):
    with service.open_connection() as connection:
        statement = text("SELECT trading_state FROM portfolios WHERE tenant_id = :t AND name = :name")
        return connection.execute(statement, {"t": api.tenant_id, "name": name}).scalar_one()


def test_limit_applies_in_another_process(api, serve_another):
    set_quote(api)
    other = serve_another(api)
    assert post_order(other).status_code == 201
    put_limit(api, "MAX_ORDER_QUANTITY", "5")
    wait_until(lambda: post_order(other).status_code != 201)


def test_flatten_cancels_orders_and_closes_positions_despite_the_halt(quoted_api):
    assert post_order(quoted_api, quantity="10").status_code == 201
    assert post_order(quoted_api, side="SELL", quantity="3", symbol="MSFT").status_code == 201
    resting = post_order(quoted_api, type="LIMIT", limit_price="50").json()
    response = set_switch(quoted_api, "HALTED", flatten=True, reason="Out")
    assert response.status_code == 200, response.text
    assert response.json()["flattened"]
    assert quoted_api.get(f"/orders/{resting['id']}").json()["status"] == "CANCELED"
    assert quoted_api.get("/positions").json() == []
    assert post_order(quoted_api).status_code == 422


def test_number_of_kill_switches_is_limited_except_tenant_and_existing_ones(api, monkeypatch):
    monkeypatch.setattr("app.risk.service.kill_switch_activation.MAX_SWITCHES", 1)
    assert set_switch(api, "HALTED", "strategy", "momentum").status_code == 200
    assert set_switch(api, "HALTED", "strategy", "another").status_code == 409
    assert set_switch(api, "ACTIVE", "strategy", "momentum").status_code == 200
    assert set_switch(api, "HALTED").status_code == 200
