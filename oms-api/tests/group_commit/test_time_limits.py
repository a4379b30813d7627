"""No COMMIT is sent later than COMMIT_WITHIN_SECONDS after the submission of a command."""

import asyncio
from dataclasses import replace

import pytest
from typing_extensions import override

from app.errors import Conflict, NotPlaced
from app.group_commit import COMMIT_WITHIN_SECONDS
from app.group_commit.queue import RESPONSE_TIMEOUT_SECONDS, START_WITHIN_SECONDS
from app.orders.service.broker_request_notifier import RESERVATION_SECONDS
from tests.group_commit.note_writer import NoteHandler, read_notes, run_writer
from tests.group_commit.writer_clock import WriterClock
from tests.support.conditions import WAIT_SECONDS

DATABASE_TIMEOUT_SECONDS = 5.0


@pytest.fixture
def clock(monkeypatch):
    """Provide the clock of the writer."""
    clock = WriterClock()
    monkeypatch.setattr("app.group_commit.queue.time", clock)
    monkeypatch.setattr("app.group_commit.batch_writer.time", clock)
    return clock


class RepeatHandler(NoteHandler):
    """Handler for which the note `old` was recorded by an earlier batch."""

    @override
    def handle(self, connection, works, retained):
        result = super().handle(connection, works, retained)
        return replace(result, is_repeated=lambda outcome: outcome == "wrote old")


def write_after(clock, engine, works, seconds, handler):
    """Submit `works` and another command, `seconds` before they can be written. Return all outcomes."""
    handler.gate.clear()
    with run_writer(engine, handler) as writer:

        async def run():
            futures = writer.submit_all(works)
            await asyncio.to_thread(handler.entered.wait, WAIT_SECONDS)
            futures.append(writer.submit("waiting"))
            clock.now += seconds
            futures.append(writer.submit("new"))
            handler.gate.set()
            return await asyncio.gather(*futures, return_exceptions=True)

        return asyncio.run(run())


def get_names(outcomes):
    return [outcome if isinstance(outcome, str) else type(outcome).__name__ for outcome in outcomes]


def test_command_that_waited_too_long_is_not_started(clock, engine):
    handler = NoteHandler()
    outcomes = write_after(clock, engine, ["wait"], START_WITHIN_SECONDS + 0.1, handler)
    assert get_names(outcomes) == ["wrote wait", "NotPlaced", "wrote new"]
    assert handler.batches == [["wait"], ["new"]]
    assert read_notes(engine) == ["wait", "new"]


def test_all_commands_of_a_batch_can_be_too_late(clock, engine):
    handler = NoteHandler()
    handler.gate.clear()
    with run_writer(engine, handler) as writer:

        async def run():
            first = writer.submit("wait")
            await asyncio.to_thread(handler.entered.wait, WAIT_SECONDS)
            late = writer.submit("late")
            clock.now += START_WITHIN_SECONDS + 0.1
            handler.gate.set()
            with pytest.raises(NotPlaced):
                await late
            return await first, await writer.submit("after")

        assert asyncio.run(run()) == ("wrote wait", "wrote after")
    assert read_notes(engine) == ["wait", "after"]


def test_transaction_that_is_too_late_is_rolled_back(clock, engine):
    handler = NoteHandler()
    outcomes = write_after(clock, engine, ["wait", "conflict"], COMMIT_WITHIN_SECONDS + 0.1, handler)
    assert get_names(outcomes) == ["NotPlaced", "Conflict", "NotPlaced", "wrote new"]
    assert handler.committed == [["new"]]
    assert read_notes(engine) == ["new"]


def test_transaction_is_committed_until_its_deadline(clock, engine):
    outcomes = write_after(clock, engine, ["wait", "conflict"], COMMIT_WITHIN_SECONDS - 0.1, NoteHandler())
    assert outcomes[0] == "wrote wait"
    assert isinstance(outcomes[1], Conflict)
    assert read_notes(engine) == ["wait", "new"]


def test_repeat_in_a_late_transaction_keeps_its_outcome(clock, engine):
    outcomes = write_after(clock, engine, ["wait", "old"], COMMIT_WITHIN_SECONDS + 0.1, RepeatHandler())
    assert get_names(outcomes) == ["NotPlaced", "wrote old", "NotPlaced", "wrote new"]


def test_retries_end_at_the_deadline(clock, engine):
    handler = NoteHandler()
    outcomes = write_after(clock, engine, ["wait", "defect", "b"], COMMIT_WITHIN_SECONDS + 0.1, handler)
    assert get_names(outcomes) == ["NotPlaced"] * 4 + ["wrote new"]
    assert handler.batches == [["wait", "defect", "b"], ["new"]]


def test_limits_follow_each_other():
    assert START_WITHIN_SECONDS + DATABASE_TIMEOUT_SECONDS <= COMMIT_WITHIN_SECONDS < RESPONSE_TIMEOUT_SECONDS
    assert COMMIT_WITHIN_SECONDS + DATABASE_TIMEOUT_SECONDS < RESERVATION_SECONDS
