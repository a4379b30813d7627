"""A connection lost during COMMIT: the ledger decides which answer the client gets."""

import threading

import psycopg2
import pytest
from sqlalchemy import event
from sqlalchemy.engine import Engine
from sqlalchemy.exc import OperationalError

from tests.factories import build_trade_body


@pytest.fixture
def lose_connection_at_commit(monkeypatch):
    """`losing(service, carried_out)` loses the connection at the writer's next COMMIT of a trade."""
    wrote = []

    def note(*arguments):
        is_insert = "INSERT INTO trades" in arguments[2] or "EXECUTE insert_trades" in arguments[2]
        if threading.current_thread().name == "group-commit" and is_insert:
            wrote.append(True)

    def arm(service, carried_out):
        dialect = type(service.engine.dialect)
        commit, failures_left = dialect.do_commit, [1]

        def lose(self, connection):
            if threading.current_thread().name != "group-commit" or not (failures_left and wrote):
                return commit(self, connection)
            failures_left.pop()
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
def test_committed_trade_is_acknowledged_after_a_lost_connection(serve, lose_connection_at_commit, portfolio):
    with serve() as service:
        api = service.create_client()
        api.record_trade()
        lose_connection_at_commit(service, carried_out=True)
        response = api.post_trade("K", portfolio_name=portfolio)
        assert response.status_code == 201
        assert api.list_trades(idempotency_key="K") == [response.json()["trade"]]
        assert api.post_trade("K", portfolio_name=portfolio).json() == response.json()
        assert len(api.list_trades()) == 2


@pytest.mark.parametrize("portfolio", ["Growth", "New"])
def test_uncommitted_trade_is_rejected_and_can_be_retried(serve, lose_connection_at_commit, portfolio):
    with serve() as service:
        api = service.create_client()
        api.record_trade()
        lose_connection_at_commit(service, carried_out=False)
        response = api.post_trade("K", portfolio_name=portfolio)
        assert (response.status_code, response.json()["type"]) == (503, "urn:slackoms:problem/not-placed")
        assert response.headers["retry-after"]
        assert len(api.list_trades()) == 1
        repeated_response = api.post_trade("K", portfolio_name=portfolio)
        assert (repeated_response.status_code, repeated_response.headers.get("idempotent-replayed")) == (
            201,
            None,
        )


@pytest.mark.parametrize("carried_out", [True, False])
def test_each_batch_item_gets_its_own_outcome_after_a_lost_connection(
    serve, lose_connection_at_commit, carried_out
):
    with serve() as service:
        api = service.create_client()
        first = api.record_trade("K:1")
        lose_connection_at_commit(service, carried_out)
        bodies = [
            build_trade_body(quantity="7"),
            build_trade_body(),
            build_trade_body(quantity="x"),
            build_trade_body(symbol="MSFT"),
        ]
        response = api.post("/trades:batch", {"trades": bodies}, {"Idempotency-Key": "K"})
        outcomes = response.json()["outcomes"]
        statuses = [outcome["status"] for outcome in outcomes]
        assert statuses[:3] == [201 if carried_out else 503, 201, 422]
        for number, outcome in enumerate(outcomes):
            recorded = [outcome["trade"]] if outcome["status"] == 201 else []
            assert api.list_trades(idempotency_key=f"K:{number}") == recorded
        assert outcomes[1]["trade"] == first


@pytest.mark.parametrize("carried_out", [True, False])
def test_committed_reversal_is_acknowledged_after_a_lost_connection(
    serve, lose_connection_at_commit, carried_out
):
    with serve() as service:
        api = service.create_client()
        trade = api.record_trade()
        lose_connection_at_commit(service, carried_out)
        response = api.post_reversal(trade["trade_id"])
        assert response.status_code == (201 if carried_out else 503)
        assert api.post_reversal(trade["trade_id"]).status_code == (409 if carried_out else 201)
        assert api.get_portfolio()["positions"]["AAPL"]["quantity"] == "0"
