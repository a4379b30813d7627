"""Waits for a server that does not answer are bounded."""

import pytest
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

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
