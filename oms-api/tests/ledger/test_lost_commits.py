"""A connection lost during COMMIT: the ledger decides which answer the client gets."""

import threading

import psycopg2
import pytest
from sqlalchemy import event
from sqlalchemy.engine import Engine
from sqlalchemy.exc import OperationalError

from tests.factories import trade_body


@pytest.fixture
def losing(monkeypatch):
    """`losing(service, carried_out)` loses the connection at the writer's next COMMIT of a trade."""
    wrote = []

    def note(*facts):
        is_insert = "INSERT INTO trades" in facts[2] or "EXECUTE insert_trades" in facts[2]
        if threading.current_thread().name == "group-commit" and is_insert:
            wrote.append(True)

    def arm(service, carried_out):
        dialect = type(service.engine.dialect)
        commit, left = dialect.do_commit, [1]

        def lose(self, connection):
            if threading.current_thread().name != "group-commit" or not (left and wrote):
                return commit(self, connection)
            left.pop()
            if carried_out:
                commit(self, connection)
            raise OperationalError(
                "COMMIT", {}, psycopg2.OperationalError("server closed the connection"), True
            )

        wrote.clear()
        monkeypatch.setattr(dialect, "do_commit", lose)

    event.listen(Engine, "before_cursor_execute", note)
    yield arm
    event.remove(Engine, "before_cursor_execute", note)


@pytest.mark.parametrize("portfolio", ["Growth", "New"])
def test_committed_trade_is_acknowledged_after_a_lost_connection(serve, losing, portfolio):
    with serve() as service:
        api = service.api()
        api.trade()
        losing(service, carried_out=True)
        response = api.report("K", portfolio_name=portfolio)
        assert response.status_code == 201
        assert api.trades(idempotency_key="K") == [response.json()["trade"]]
        assert api.report("K", portfolio_name=portfolio).json() == response.json()
        assert len(api.trades()) == 2


@pytest.mark.parametrize("portfolio", ["Growth", "New"])
def test_uncommitted_trade_is_rejected_and_can_be_retried(serve, losing, portfolio):
    with serve() as service:
        api = service.api()
        api.trade()
        losing(service, carried_out=False)
        response = api.report("K", portfolio_name=portfolio)
        assert (response.status_code, response.json()["type"]) == (503, "urn:slackoms:problem/not-placed")
        assert response.headers["retry-after"]
        assert len(api.trades()) == 1
        again = api.report("K", portfolio_name=portfolio)
        assert (again.status_code, again.headers.get("idempotent-replayed")) == (201, None)


@pytest.mark.parametrize("carried_out", [True, False])
def test_each_batch_item_gets_its_own_outcome_after_a_lost_connection(serve, losing, carried_out):
    with serve() as service:
        api = service.api()
        first = api.trade("K:1")
        losing(service, carried_out)
        bodies = [trade_body(quantity="7"), trade_body(), trade_body(quantity="x"), trade_body(symbol="MSFT")]
        response = api.post("/trades:batch", {"trades": bodies}, {"Idempotency-Key": "K"})
        outcomes = response.json()["outcomes"]
        statuses = [outcome["status"] for outcome in outcomes]
        assert statuses[:3] == [201 if carried_out else 503, 201, 422]
        for number, outcome in enumerate(outcomes):
            recorded = [outcome["trade"]] if outcome["status"] == 201 else []
            assert api.trades(idempotency_key=f"K:{number}") == recorded
        assert outcomes[1]["trade"] == first


@pytest.mark.parametrize("carried_out", [True, False])
def test_committed_reversal_is_acknowledged_after_a_lost_connection(serve, losing, carried_out):
    with serve() as service:
        api = service.api()
        trade = api.trade()
        losing(service, carried_out)
        response = api.reverse(trade["trade_id"])
        assert response.status_code == (201 if carried_out else 503)
        assert api.reverse(trade["trade_id"]).status_code == (409 if carried_out else 201)
        assert api.portfolio()["positions"]["AAPL"]["quantity"] == "0"
