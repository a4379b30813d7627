"""The frames of a connection that wait to be sent."""

import asyncio
import json

import pytest

from app.streams.errors import CloseCode
from app.streams.service import outbox as outboxes
from app.streams.service.outbox import Outbox


class Client:
    """A client that takes frames while `can_read` is set."""

    def __init__(self):
        self.got, self.can_read = [], asyncio.Event()
        self.can_read.set()

    async def send(self, text):
        await self.can_read.wait()
        self.got.append(text)


def run_scenario(scenario):
    async def work():
        client = Client()
        outbox = Outbox(client.send)
        sender = asyncio.create_task(outbox.run())
        async with asyncio.timeout(60):
            await scenario(client, outbox)
        sender.cancel()

    asyncio.run(work())


async def run_tasks():
    for _ in range(20):
        await asyncio.sleep(0)


def test_frames_are_sent_in_order():
    async def scenario(client, outbox):
        for number in range(5):
            outbox.put(str(number))
        await run_tasks()
        assert client.got == ["0", "1", "2", "3", "4"]

    run_scenario(scenario)


def test_quotes_of_a_slow_client_are_conflated_and_follow_its_events():
    async def scenario(client, outbox):
        client.can_read.clear()
        outbox.put("event 1")
        await run_tasks()
        for bid in "123":
            outbox.put_items("quotes", {"AAPL": bid})
        outbox.put_items("quotes", {"MSFT": "9"})
        outbox.put("event 2")
        client.can_read.set()
        await run_tasks()
        assert client.got[:2] == ["event 1", "event 2"]
        assert json.loads(client.got[2]) == {"channel": "quotes", "id": None, "items": [3, 9]}
        outbox.put_items("quotes", {"AAPL": "4"}, "built before")
        await run_tasks()
        assert client.got[3:] == ["built before"]

    run_scenario(scenario)


@pytest.mark.parametrize("frame", ["x", "y" * 20_000])
def test_client_for_which_too_much_waits_is_too_slow(frame):
    async def scenario(client, outbox):
        client.can_read.clear()
        for _ in range(outboxes.MAX_FRAMES + 2):
            outbox.put(frame)
        assert (await outbox.closed).code is CloseCode.TOO_SLOW
        outbox.put("later")  # is dropped
        client.can_read.set()
        await run_tasks()
        assert "later" not in client.got

    run_scenario(scenario)


def test_client_that_takes_no_frame_in_time_is_too_slow(monkeypatch):
    monkeypatch.setattr(outboxes, "SEND_SECONDS", 0.01)

    async def scenario(client, outbox):
        client.can_read.clear()
        outbox.put("event")
        assert (await outbox.closed).code is CloseCode.TOO_SLOW

    run_scenario(scenario)


def test_sender_waits_until_half_of_the_buffer_is_free():
    async def scenario(client, outbox):
        client.can_read.clear()
        for number in range(outboxes.MAX_FRAMES // 2 + 2):
            outbox.put(str(number))
        waiting = asyncio.create_task(outbox.drain())
        await run_tasks()
        assert not waiting.done()
        client.can_read.set()
        await waiting

    run_scenario(scenario)
