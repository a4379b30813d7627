"""A background task continues after each of its errors, and ends when it is canceled."""

import asyncio
import logging

import pytest

from app.errors import Unavailable
from app.periodic_tasks import repeat

ERRORS = [None, Unavailable("The database is busy."), ValueError("unexpected"), None]


def test_the_task_continues_after_errors_and_logs_them(caplog):
    waiting = list(ERRORS)

    async def act():
        if not waiting:
            raise asyncio.CancelledError
        error = waiting.pop(0)
        if error is not None:
            raise error

    with caplog.at_level(logging.WARNING), pytest.raises(asyncio.CancelledError):
        asyncio.run(repeat(act, 0, "prices were not read", logging.getLogger("test")))
    assert waiting == []
    assert [(record.levelname, record.getMessage()) for record in caplog.records] == [
        ("WARNING", "prices were not read: The database is busy."),
        ("ERROR", "prices were not read"),
    ]
