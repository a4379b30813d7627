"""Streamed answers end when the client disconnects, and break off when reading fails."""

import asyncio
import threading
from contextlib import suppress

import pytest
from sqlalchemy import text

from app.database import Readers
from app.errors import TooMany, Unavailable
from app.http.exports import Exports, stream_lines
from app.http_server.request_middleware import RequestMiddleware
from app.logs import AccessLog
from app.metrics import Metrics
from app.rate_limit import SlotLimits
from tests.factories import NOON


class Export:
    """An export of three or more chunks. It fails after `fails_after` chunks."""

    def __init__(self, chunks=3, fails_after=None):
        self.chunks, self.fails_after, self.chunk_count = chunks, fails_after, 0

    async def read(self):
        if self.chunk_count == self.fails_after:
            raise Unavailable("The database does not answer.")
        self.chunk_count += 1
        return b"line\n" * 2 if self.chunk_count <= self.chunks else b""


def serve_export(export, leaves_after=None):
    """Send the answer through the middleware to a client that leaves after so many messages.

    Return the content that it received, and the error for which the server closes the connection.
    """
    sent, disconnected, failures = [], asyncio.Event(), []

    async def receive():
        await disconnected.wait()
        return {"type": "http.disconnect"}

    async def send(message):
        sent.append(message)
        if len(sent) == leaves_after:
            disconnected.set()
        await asyncio.sleep(0)  # as a server does while the client takes its time

    async def app(scope, receive, send):
        await stream_lines(export.read, "x.jsonl")(scope, receive, send)

    async def run():
        request_middleware = RequestMiddleware(
            app, Metrics(), AccessLog(True, lambda _: None), lambda: NOON, {}
        )
        scope = {"type": "http", "asgi": {"spec_version": "2.3"}, "method": "GET", "path": "/x"}
        try:
            await asyncio.wait_for(
                request_middleware(scope | {"query_string": b"", "headers": []}, receive, send), 30
            )
        except Exception as error:  # noqa: BLE001  # a server cuts the connection, whatever it is
            failures.append(error)

    asyncio.run(run())
    return sent, failures


def test_export_is_sent_as_lines_of_an_attachment():
    (head, *body), failures = serve_export(Export())
    assert b"".join(message["body"] for message in body) == b"line\n" * 6
    headers = dict(head["headers"])
    assert failures == []
    assert headers[b"content-type"] == b"application/x-ndjson"
    assert headers[b"content-disposition"] == b'attachment; filename="x.jsonl"'


def test_export_stops_reading_after_a_client_disconnect():
    export = Export(chunks=1_000_000)
    serve_export(export, leaves_after=5)
    assert export.chunk_count < 20


def test_failed_export_is_not_terminated_as_complete():
    sent, failures = serve_export(Export(fails_after=2))
    assert [message.get("body") for message in sent] == [None, b"line\nline\n", b"line\nline\n"]
    assert all(message["more_body"] for message in sent[1:])
    assert len(failures) == 1


LIMITS = SlotLimits(key=2, tenant=3, total=4)
READERS = 4


async def start_empty_export():
    return Export(0).read


async def read_export(exports, tenant_id, key, begin=start_empty_export):
    return await exports.respond(tenant_id, key, begin, "x.jsonl")


def test_export_slots_are_counted_by_key_tenant_and_in_total():
    async def work():
        exports = Exports(READERS, LIMITS)
        for key in ("a", "a", "b"):
            await read_export(exports, 1, key)
        with pytest.raises(TooMany, match="with this key"):
            await read_export(exports, 1, "a")
        with pytest.raises(TooMany, match="of this tenant"):
            await read_export(exports, 1, "b")
        await read_export(exports, 2, "a")
        with pytest.raises(TooMany, match="exports are open"):
            await read_export(exports, 2, "a")

    asyncio.run(work())


def test_export_slot_is_released_however_the_export_ends():
    async def work():
        exports = Exports(READERS, LIMITS)

        async def fail():
            raise Unavailable("away")

        async def read_and_fail():
            return fail

        async def endless():
            return Export(10**9).read

        async def disconnect_client():
            return {"type": "http.disconnect"}

        async def send(_):
            await asyncio.sleep(0)

        with pytest.raises(Unavailable):
            await read_export(exports, 1, "a", fail)
        for begin in (start_empty_export, read_and_fail, endless):
            answer = await read_export(exports, 1, "a", begin)
            assert exports.used == 1
            with suppress(Exception):
                await answer({"type": "http", "asgi": {"spec_version": "2.3"}}, disconnect_client, send)
            assert exports.used == 0

    asyncio.run(work())


def test_other_reads_are_answered_while_all_exports_run(engine):
    """Forty exports hang in the database; without a bound they would hold every reader thread."""
    readers, hanging = Readers(engine, READERS), threading.Event()

    def hang(_):
        hanging.wait(30)
        return b""

    async def work():
        exports = Exports(READERS, SlotLimits(40, 40, 40))

        async def begin():
            return lambda: readers.run(hang)

        async def export(number):
            answer = await read_export(exports, 1, str(number), begin)
            async for _ in answer.body_iterator:
                pass

        tasks = [asyncio.create_task(export(number)) for number in range(40)]
        await asyncio.sleep(0)  # each takes its slot in its first step
        assert exports.used == 40
        for _ in range(10):
            assert await readers.run(lambda connection: connection.scalar(text("SELECT 7"))) == 7
        assert not any(task.done() for task in tasks)
        hanging.set()
        await asyncio.gather(*tasks)

    try:
        asyncio.run(work())
    finally:
        hanging.set()
        readers.close()
