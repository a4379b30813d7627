"""With several callers the writer waits briefly for more commands; with one caller it does not."""

import asyncio

import pytest

from app.group_commit import queue
from tests.group_commit.note_writer import NoteHandler, run_writer

FOREVER = 3600.0


@pytest.fixture
def patient_writer(monkeypatch):
    """Make a writer linger until the last of the expected callers is here."""
    monkeypatch.setattr(queue, "MAX_LINGER_SECONDS", FOREVER)
    monkeypatch.setattr(queue, "LINGER_FRACTION", 1e9)


def serve_callers(engine, callers, **limits):
    """Let callers send commands to a writer, and return its batches."""
    handler = NoteHandler()
    with run_writer(engine, handler, **limits) as writer:

        async def run():
            async with asyncio.timeout(30):
                await callers(writer)

        asyncio.run(run())
    return [len(batch) for batch in handler.batches]


def submit_wave(writer, name, count):
    return [writer.submit(f"{name} {number}") for number in range(count)]


async def wait_until_taken(writer, count):
    """Return when the writer has had the time to take so many that wait: it does, or it lingers."""
    for _ in range(20):
        if writer.queue_depth < count:
            break
        await asyncio.sleep(0.001)


def test_returning_callers_in_two_parts_share_one_batch(engine, patient_writer):
    async def callers(writer):
        await asyncio.gather(*writer.submit_all([f"first {number}" for number in range(8)]))
        early = submit_wave(writer, "early", 5)
        await wait_until_taken(writer, 5)
        await asyncio.gather(*early, *submit_wave(writer, "late", 3))

    assert serve_callers(engine, callers) == [8, 8]


def test_thread_does_not_wait_for_other_callers(engine, patient_writer):
    async def callers(writer):
        await asyncio.gather(*writer.submit_all([f"first {number}" for number in range(8)]))
        await asyncio.to_thread(writer.write_all, ["a", "b"])

    assert serve_callers(engine, callers) == [8, 2]


def test_single_caller_does_not_wait_after_many_callers(engine, patient_writer):
    async def callers(writer):
        await asyncio.gather(*writer.submit_all([f"first {number}" for number in range(8)]))
        for number in range(3):
            await writer.submit(f"alone {number}")

    assert serve_callers(engine, callers) == [8, 1, 1, 1]


def test_missing_callers_are_waited_for_only_briefly(engine, monkeypatch):
    monkeypatch.setattr(queue, "LINGER_FRACTION", 1e9)  # MAX_LINGER_SECONDS is the bound

    async def callers(writer):
        await asyncio.gather(*writer.submit_all([f"first {number}" for number in range(8)]))
        await asyncio.gather(*writer.submit_all(["second", "third"]))

    assert serve_callers(engine, callers) == [8, 2]


def test_full_batch_does_not_wait(engine, patient_writer):
    async def callers(writer):
        await asyncio.gather(*writer.submit_all([str(number) for number in range(20)]))

    assert serve_callers(engine, callers, batch_limit=10) == [10, 10]


def test_close_ends_the_wait(engine, patient_writer):
    async def callers(writer):
        await asyncio.gather(*writer.submit_all([f"first {number}" for number in range(8)]))
        later_futures = writer.submit_all(["second", "third"])
        await asyncio.get_running_loop().run_in_executor(None, writer.close)
        await asyncio.gather(*later_futures)

    assert serve_callers(engine, callers) == [8, 2]
