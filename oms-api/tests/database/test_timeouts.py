"""Waits for a server that does not answer are bounded."""

import socket

import pytest
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from app.database import timeouts
from app.database.engine import connect_engine
from app.database.timeouts import response_timeout


def test_statement_past_its_timeout_ends_and_closes_its_connection(engine, backend):
    if backend == "sqlite":
        return  # a file answers at once, or waits for its lock: see the tests of faults
    with (
        engine.connect() as connection,
        response_timeout(0.2),
        pytest.raises(OperationalError, match="no answer") as lost,
    ):
        connection.execute(text("SELECT pg_sleep(200)"))
    assert lost.value.connection_invalidated
    with engine.connect() as another:
        assert another.execute(text("SELECT 1")).scalar_one() == 1


def test_server_that_accepts_connections_and_stays_silent_ends_a_connect_early(monkeypatch):
    monkeypatch.setattr(timeouts, "CONNECT_TIMEOUT_SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as server:
        engine = connect_engine(
            f"postgresql://desk@127.0.0.1:{server.getsockname()[1]}/oms", timeout_seconds=30
        )
        with pytest.raises(OperationalError, match=r"no answer from the database within 0\.2 s"):
            engine.connect()
