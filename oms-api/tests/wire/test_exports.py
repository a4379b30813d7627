"""Long answers, piece by piece: they end when their client leaves, and break off where reading fails."""

import asyncio

from app.edge import Edge
from app.errors import Unavailable
from app.logs import AccessLog
from app.metrics import Metrics
from app.wire.exports import exported
from tests.factories import NOON


class Export:
    """Gives three pieces, or pieces without end; may fail."""

    def __init__(self, pieces=3, fails_after=None):
        self.pieces, self.fails_after, self.given = pieces, fails_after, 0

    async def read(self):
        if self.given == self.fails_after:
            raise Unavailable("The database does not answer.")
        self.given += 1
        return b"line\n" * 2 if self.given <= self.pieces else b""


def serve(export, leaves_after=None):
    """Send the answer through the edge to a client that leaves after so many messages.

    Return what it got, and for what the server is told to cut the connection.
    """
    sent, left, failures = [], asyncio.Event(), []

    async def receive():
        await left.wait()
        return {"type": "http.disconnect"}

    async def send(message):
        sent.append(message)
        if len(sent) == leaves_after:
            left.set()
        await asyncio.sleep(0)  # as a server does while the client takes its time

    async def app(scope, receive, send):
        await exported(export.read, "x.jsonl")(scope, receive, send)

    async def run():
        edge = Edge(app, Metrics(), AccessLog(True, lambda _: None), lambda: NOON, {})
        scope = {"type": "http", "asgi": {"spec_version": "2.3"}, "method": "GET", "path": "/x"}
        try:
            await asyncio.wait_for(edge(scope | {"query_string": b"", "headers": []}, receive, send), 30)
        except Exception as error:  # noqa: BLE001  # a server cuts the connection, whatever it is
            failures.append(error)

    asyncio.run(run())
    return sent, failures


def test_all_pieces_are_sent_as_lines_for_a_file():
    (head, *body), failures = serve(Export())
    assert b"".join(message["body"] for message in body) == b"line\n" * 6
    headers = dict(head["headers"])
    assert failures == []
    assert headers[b"content-type"] == b"application/x-ndjson"
    assert headers[b"content-disposition"] == b'attachment; filename="x.jsonl"'


def test_nothing_more_is_read_for_a_client_that_left():
    export = Export(pieces=1_000_000)
    serve(export, leaves_after=5)
    assert export.given < 20


def test_an_answer_whose_reading_fails_is_never_ended_as_if_it_were_whole():
    sent, failures = serve(Export(fails_after=2))
    assert [message.get("body") for message in sent] == [None, b"line\nline\n", b"line\nline\n"]
    assert all(message["more_body"] for message in sent[1:])
    assert len(failures) == 1
