"""The writer thread goes on after errors outside its transactions, and each command has a time limit."""

import asyncio
import threading
from collections import deque
from concurrent.futures import Future

import pytest
from typing_extensions import override

from app.errors import OutcomeUnknown
from app.group_commit import GroupCommit, queue
from app.group_commit.batch_writer import BatchWriter
from tests.group_commit.note_writer import NoteHandler, read_notes, run_writer
from tests.group_commit.writer_clock import WriterClock
from tests.support.conditions import WAIT_SECONDS


class UnresolvedFuture(Future):
    """A future that another thread resolves after this one has asked."""

    @override
    def done(self) -> bool:
        """Return what was true before the other thread came."""
        return False


class HeldDeque(deque):
    """A queue that holds the thread that takes a command from it."""

    def __init__(self, items) -> None:
        super().__init__(items)
        self.taken, self.gate = threading.Event(), threading.Event()

    @override
    def popleft(self):
        """Remove a command, and wait."""
        item = super().popleft()
        self.taken.set()
        assert self.gate.wait(WAIT_SECONDS)
        return item


class FailingMetrics:
    """Metrics that record nothing."""

    def record_batch(self, size: int, seconds: float) -> None:
        """Fail."""
        raise OSError("no space left on device")


@pytest.fixture
def clock(monkeypatch):
    """Provide the clock of a writer that checks its timeouts often."""
    clock = WriterClock()
    monkeypatch.setattr("app.group_commit.queue.time", clock)
    monkeypatch.setattr("app.group_commit.batch_writer.time", clock)
    monkeypatch.setattr(queue, "TIMEOUT_CHECK_SECONDS", 0.01)
    return clock


def test_two_threads_may_resolve_one_command(clock, engine, monkeypatch):
    monkeypatch.setattr(queue, "Future", UnresolvedFuture)
    handler = NoteHandler()
    handler.gate.clear()
    with run_writer(engine, handler) as writer:

        async def run():
            overdue = asyncio.create_task(asyncio.to_thread(writer.write, "wait"))
            await asyncio.to_thread(handler.entered.wait, WAIT_SECONDS)
            clock.now += queue.RESPONSE_TIMEOUT_SECONDS + 1
            following = writer.submit("next")
            with pytest.raises(OutcomeUnknown):
                await overdue
            handler.gate.set()
            async with asyncio.timeout(WAIT_SECONDS):
                return await following

        assert asyncio.run(run()) == "wrote next"


def test_loop_that_is_closed_meanwhile_does_not_affect_others(engine, monkeypatch):
    handler = NoteHandler()
    handler.gate.clear()
    with run_writer(engine, handler) as writer:
        loop = asyncio.new_event_loop()
        loop.run_until_complete(_submit(writer, "wait"))
        assert handler.entered.wait(WAIT_SECONDS)
        loop.close()
        monkeypatch.setattr(loop, "is_closed", lambda: False)  # it is closed after this question
        handler.gate.set()
        assert writer.write("after") == "wrote after"
        monkeypatch.undo()  # the loop is deleted as a closed one
    assert read_notes(engine) == ["wait", "after"]


async def _submit(writer, work):
    writer.submit(work)


def test_error_of_the_metrics_changes_no_outcome(engine):
    with run_writer(engine, NoteHandler(), metrics=FailingMetrics()) as writer:
        assert [writer.write("a"), writer.write("b")] == ["wrote a", "wrote b"]


def test_batch_that_fails_unexpectedly_has_an_unknown_outcome(engine, monkeypatch):
    with run_writer(engine, NoteHandler()) as writer:
        with monkeypatch.context() as patch:
            patch.setattr(BatchWriter, "write", lambda *_: [])  # a defect: no outcomes
            with pytest.raises(OutcomeUnknown):
                writer.write("a")
        assert writer.write("b") == "wrote b"


def test_command_that_is_just_taken_keeps_its_time_limit(clock, engine, monkeypatch):
    """The timeouts are checked while the writer takes the command."""
    handler = NoteHandler()
    handler.gate.clear()
    writer = GroupCommit[str, str](engine, handler, 10, 10)
    resolve = writer._resolve_commands

    held: list[HeldDeque] = []

    def start_writer(commands, outcomes):
        monkeypatch.setattr(writer, "_resolve_commands", resolve)
        writer.start()
        assert held[0].taken.wait(WAIT_SECONDS)
        threading.Timer(0.05, held[0].gate.set).start()  # the loop may wait for the same lock
        resolve(commands, outcomes)

    async def run():
        future = writer.submit("wait")
        held.append(HeldDeque(writer._queue))
        monkeypatch.setattr(writer, "_queue", held[0])
        monkeypatch.setattr(writer, "_resolve_commands", start_writer)
        await asyncio.to_thread(handler.entered.wait, WAIT_SECONDS)
        clock.now += queue.RESPONSE_TIMEOUT_SECONDS + 1
        with pytest.raises(OutcomeUnknown):
            async with asyncio.timeout(WAIT_SECONDS):
                await future

    try:
        asyncio.run(run())
    finally:
        handler.gate.set()
        writer.close()
