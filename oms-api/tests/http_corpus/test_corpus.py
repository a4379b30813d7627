"""The service answers every exchange of the corpus as recorded, with direct routes and without.

Record the answers again with RECORD_ANSWERS=1, and review the difference.
"""

import asyncio
import json
import os
import re
import secrets
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from typing_extensions import override

from app.forwarding import Forwarder, ServeExchange, WorkerSlots
from app.http.direct_routes import DirectRoute, PendingResponse, RequestInfo
from app.http_server.protocol import LimitedHttpProtocol
from app.http_server.request_middleware import RequestMiddleware
from app.main import Application
from tests.factories import BOOTSTRAP_KEY, build_ticket_body, build_trade_body
from tests.http_corpus.exchanges import ORDERS, TRADE, Exchange, Keys, Writer, list_exchanges
from tests.support.conditions import WAIT_SECONDS
from tests.support.ports import find_free_port
from tests.support.service import Service, run_service

pytestmark = pytest.mark.any_database

ANSWERS = Path(__file__).with_name("answers.json")
PAUSE_SECONDS = 0.05
KEY_OF_SLOT_0 = b"d"
_SENTENCES = {"title", "detail", "message"}
BODY_SECONDS = 0.2  # until a connection closes whose client sends the rest of a refused body
_VARYING = (
    (re.compile(r"\b[0-9a-f]{64}\b"), "<hash>"),
    (re.compile(r"\b(?:key|desk)-[0-9a-f]+\b"), "<name>"),
    (re.compile(r"\bT[0-9]{13,}[0-9a-f]*\b"), "<trade>"),
    (re.compile(r"\bO[0-9]{13,}[0-9a-f]*\b"), "<order>"),
    (re.compile(r"20[0-9]{2}-[0-9]{2}-[0-9]{2}T[0-9:.]+(?:Z|\+00:00)"), "<instant>"),
    (re.compile(r"\bT[0-9A-F]{8}\b"), "<team>"),
    (re.compile(r'"age_seconds":[0-9.]+'), '"age_seconds":0'),
    (re.compile(r"r=[0-9]+;t=[0-9]+"), "r=<n>;t=<n>"),
    (re.compile(r"\"[0-9a-f]{20}\""), '"<id>"'),
    (re.compile(r"(?<=x-request-id: )[0-9a-f]{20}\b"), "<id>"),
    (re.compile(r"(?<=content-length: )[0-9]+"), "<n>"),
    (re.compile(r"(?<=date: )[^\r]+"), "<date>"),
)


class Server(uvicorn.Server):
    """A server that starts and closes `forwarders` in its event loop."""

    def __init__(self, config: uvicorn.Config, forwarders: Sequence[Forwarder], serve: ServeExchange) -> None:
        super().__init__(config)
        self._forwarders, self._serve_forwarded = forwarders, serve

    @override
    async def startup(self, sockets: Any = None) -> None:
        for forwarder in self._forwarders:
            await forwarder.start(self._serve_forwarded)
            await asyncio.sleep(0)  # it takes its slot
        await super().startup(sockets)

    @override
    async def shutdown(self, sockets: Any = None) -> None:
        await super().shutdown(sockets)
        for forwarder in self._forwarders:
            await forwarder.close()


def get_request_middleware(service: Service) -> RequestMiddleware:
    """Return the outermost middleware of the application."""
    assert isinstance(service.app, Application)
    return service.app.request_middleware


@contextmanager
def serve_http(service: Service, forwarders: Sequence[Forwarder] = ()) -> Iterator[int]:
    """Serve the application over HTTP in another thread, and yield its port."""
    port = find_free_port()
    config = uvicorn.Config(
        service.app, port=port, http=LimitedHttpProtocol, lifespan="off", log_config=None, access_log=False
    )
    server = Server(config, forwarders, get_request_middleware(service).start_forwarded_exchange)
    thread = threading.Thread(target=server.run)
    body_seconds, LimitedHttpProtocol.body_seconds = LimitedHttpProtocol.body_seconds, BODY_SECONDS
    thread.start()
    while not server.started:
        assert thread.is_alive()
    try:
        yield port
    finally:
        server.should_exit = True
        thread.join(30)
        LimitedHttpProtocol.body_seconds = body_seconds


@pytest.fixture(scope="module")
def serving_port(new_database: Any, backend: str) -> Iterator[tuple[Service, int]]:
    """Serve an application with rate limits, and return it with its port."""
    with (
        run_service(new_database(backend), rate_limit_per_minute=1_000_000) as service,
        serve_http(service) as port,
    ):
        yield service, port


async def send_exchange(port: int, exchange: Exchange) -> list[Any]:
    """Send the pieces, and return the normalized responses."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    responses: list[Any] = []
    try:
        for number, piece in enumerate(exchange.pieces):
            if number:
                await asyncio.sleep(PAUSE_SECONDS)
            writer.write(piece)
        for _ in range(exchange.responses):
            response = await asyncio.wait_for(read_response(reader), WAIT_SECONDS)
            responses += [response]
        writer.write(b"END\r\n\r\n")  # the service closes the connection, and sends no other response
        remaining = await asyncio.wait_for(reader.read(), WAIT_SECONDS)
        return [*responses, remaining.decode()] if remaining else responses
    except (ConnectionError, asyncio.IncompleteReadError):
        return responses
    finally:
        writer.close()


async def read_response(reader: asyncio.StreamReader) -> dict[str, Any]:
    """Return the status line, the headers and the body of the next response."""
    head = await reader.readuntil(b"\r\n\r\n")
    length = re.search(rb"content-length: ([0-9]+)", head)
    body = await reader.readexactly(int(length[1])) if length else b""
    status, *headers = normalize(head).rstrip().split("\r\n")
    return {
        "status": status,
        "headers": sorted(headers),
        "body": json.loads(normalize(body)) if body else None,
    }


def normalize(answer: bytes) -> str:
    """Return the text of an answer with ids, instants and hashes replaced."""
    text = answer.decode()
    for pattern, name in _VARYING:
        text = pattern.sub(name, text)
    return text


def remove_sentences(answer: Any) -> Any:
    """Return the answer without the sentences for people, whose wording may change."""
    if isinstance(answer, list):
        return [remove_sentences(part) for part in answer]
    if isinstance(answer, dict):
        return {name: remove_sentences(part) for name, part in answer.items() if name not in _SENTENCES}
    return answer


def contains_recorded(answer: Any, recorded: Any) -> bool:
    """Return whether the answer has all that was recorded. Objects may have further members."""
    if isinstance(answer, dict) and isinstance(recorded, dict):
        return all(
            name in answer and contains_recorded(answer[name], value) for name, value in recorded.items()
        )
    if isinstance(answer, list) and isinstance(recorded, list):
        return len(answer) == len(recorded) and all(map(contains_recorded, answer, recorded))
    return bool(answer == recorded)


def send_corpus(service: Service, port: int) -> dict[str, list[Any]]:
    """Return the normalized answers to all exchanges with a new tenant, by name."""
    admin, team = service.create_client(), f"T{secrets.token_hex(4).upper()}"
    admin.claim_workspace(team)
    keys = (
        admin.key,
        service.create_key("read", admin.tenant_id),
        service.create_key("act_as trade", admin.tenant_id),
    )

    async def run() -> dict[str, list[Any]]:
        return {
            exchange.name: await send_exchange(port, exchange)
            for exchange in list_exchanges(Keys(*keys), team)
        }

    return asyncio.run(run())


@pytest.fixture(scope="module")
def answers(serving_port: tuple[Service, int]) -> dict[str, list[Any]]:
    """Provide the answers to the corpus."""
    return send_corpus(*serving_port)


def test_every_exchange_gets_its_recorded_answer(answers):
    if os.environ.get("RECORD_ANSWERS"):
        compared = remove_sentences(answers)
        lines = [f"{json.dumps(name)}: {json.dumps(response)}" for name, response in compared.items()]
        ANSWERS.write_text("{\n" + ",\n".join(lines) + "\n}\n")
    recorded = json.loads(ANSWERS.read_text())
    assert answers.keys() == recorded.keys()
    assert {
        name: response
        for name, response in answers.items()
        if not contains_recorded(response, recorded[name])
    } == {}


def test_generic_routes_give_the_same_answers(serving_port, answers, monkeypatch):
    monkeypatch.setattr(serving_port[0].app.request_middleware, "direct_routes", {})
    generic = send_corpus(*serving_port)
    assert {name: response for name, response in generic.items() if response != answers[name]} == {}


def test_forwarded_requests_get_the_same_answers(serving_port, answers, monkeypatch, tmp_path):
    service: Service = serving_port[0]
    outcomes: list[str] = []
    # The forwarder of the second slot forwards everything to the first. Both belong to one application.
    keys = dict.fromkeys(get_request_middleware(service).direct_routes, lambda _: KEY_OF_SLOT_0)
    forwarders = [Forwarder(WorkerSlots(tmp_path, 2), keys, outcomes.append) for _ in range(2)]
    with serve_http(service, forwarders) as port:
        monkeypatch.setattr(get_request_middleware(service), "_forwarder", forwarders[1])
        while not forwarders[1].is_connected:
            time.sleep(0.01)
        forwarded = send_corpus(service, port)
        monkeypatch.undo()
    assert {name: response for name, response in forwarded.items() if response != answers[name]} == {}
    assert len(outcomes) > len(forwarded) / 2
    assert set(outcomes) == {"answered"}


def test_valid_requests_use_the_direct_routes(serving_port, monkeypatch):
    service, port = serving_port
    started = []

    def record(route: DirectRoute) -> DirectRoute:
        def start(request: RequestInfo) -> PendingResponse | None:
            pending = None
            try:
                pending = route(request)
            finally:
                started.append(pending is not None)
            return pending

        return start

    routes = get_request_middleware(service).direct_routes
    monkeypatch.setattr(
        get_request_middleware(service), "direct_routes", {key: record(routes[key]) for key in routes}
    )
    send_one = Writer(BOOTSTRAP_KEY).request
    for body in (
        build_trade_body(),
        build_trade_body(quantity=100),
        build_trade_body(gmv=17500.5),
        build_trade_body(note="\n5"),
    ):
        asyncio.run(send_exchange(port, Exchange("trade", (send_one(TRADE, body),))))
    asyncio.run(send_exchange(port, Exchange("order", (send_one(ORDERS, build_ticket_body()),))))
    assert started == [True, True, True, False, True]
