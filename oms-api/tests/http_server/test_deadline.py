"""Deadlines: a late operation is canceled with an error, others are not affected."""

import asyncio

import pytest

from app.http_server.deadline import Deadline
from tests.support.virtual_time import run_in_virtual_time


async def wait_forever():
    await asyncio.Event().wait()


async def wait_for_next_turn(value):
    await asyncio.sleep(0)
    return value


def test_operation_in_time_returns_and_leaves_no_timer():
    async def run_scenario():
        deadline = Deadline(0.01)
        assert await asyncio.gather(
            *(deadline.wait_for(wait_for_next_turn(value)) for value in range(3))
        ) == [0, 1, 2]
        await asyncio.sleep(0.02)  # the watch looks, and sees that nobody waits
        assert deadline._watch is None

    run_in_virtual_time(run_scenario())


def test_late_operation_fails_not_before_its_deadline():
    async def run_scenario():
        deadline, loop = Deadline(0.05), asyncio.get_running_loop()
        began = loop.time()
        with pytest.raises(TimeoutError):
            await deadline.wait_for(wait_forever())
        assert 0.05 <= loop.time() - began < 0.06
        assert await deadline.wait_for(wait_for_next_turn("again")) == "again"

    run_in_virtual_time(run_scenario())


def test_each_operation_has_its_own_deadline():
    async def run_scenario():
        deadline, calls = Deadline(0.05), []

        async def wait(name):
            with pytest.raises(TimeoutError):
                await deadline.wait_for(wait_forever())
            calls.append(name)

        first = asyncio.create_task(wait("one"))
        await asyncio.sleep(0.03)  # the second begins later
        second = asyncio.create_task(wait("two"))
        await first
        assert calls == ["one"]
        await second

    run_in_virtual_time(run_scenario())


def test_other_cancellation_is_not_reported_as_a_timeout():
    async def run_scenario():
        deadline = Deadline(60)
        task = asyncio.create_task(deadline.wait_for(wait_forever()))
        await asyncio.sleep(0)  # it waits
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        with pytest.raises(ValueError, match="no"):
            await deadline.wait_for(fails())

    async def fails():
        raise ValueError("no")

    run_in_virtual_time(run_scenario())


def test_operation_that_is_late_and_cancelled_ends():
    async def run_scenario():
        deadline = Deadline(60)
        task = asyncio.create_task(deadline.wait_for(wait_forever()))
        await asyncio.sleep(0)  # it waits
        deadline.seconds = -1.0
        deadline._cancel_if_late(asyncio.get_running_loop())
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    run_in_virtual_time(run_scenario())
