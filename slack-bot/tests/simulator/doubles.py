"""A fake bot that records requests and returns scripted responses, and a client of the control API."""

import json
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from slack_sdk.signature import SignatureVerifier
from typing_extensions import override

TOKEN = "xoxb-for-tests"
SECRET = "for-tests"
AVA, BEN = "U0AVACHEN01", "U0BENOKAF02"
TRADING, PRIVATE, HIDDEN, ARCHIVED = "C0TRADING01", "C0RANDOMP01", "C0BOARDRM01", "C0OLDDESK01"
TIMEOUT_SECONDS = 60.0


@dataclass
class Received:
    """One request that the bot received. `fields` is the form, the interaction payload or the event."""

    path: str
    headers: dict[str, str]
    raw: str
    fields: dict[str, Any]

    @property
    def signed(self) -> bool:
        return SignatureVerifier(SECRET).is_valid_request(self.raw, self.headers)


@dataclass
class BotResponse:
    """A response of the bot.

    With `silent`, it waits for `FakeBot.release`. `meanwhile` runs before the response.
    """

    body: Any = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    silent: bool = False
    meanwhile: Callable[[Received], Any] | None = None


class FakeBot:
    """A bot with scripted responses."""

    def __init__(self) -> None:
        self.received: list[Received] = []
        self.responses: list[BotResponse] = []
        self.released = threading.Event()
        self._news = threading.Condition()
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._http.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._http.server_port}"
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.02,))
        self._thread.start()

    @property
    def last(self) -> Received:
        return self.received[-1]

    def queue_response(self, body: Any = b"", **fields: Any) -> None:
        """Queue the response of one of the next requests."""
        self.responses.append(BotResponse(body, **fields))

    def receive(self, request: Received) -> BotResponse:
        with self._news:
            self.received.append(request)
            self._news.notify_all()
            return self.responses.pop(0) if self.responses else BotResponse()

    def wait_for(self, count: int) -> list[Received]:
        """Return all requests when there are at least `count`. Fail after a timeout."""
        with self._news:
            assert self._news.wait_for(lambda: len(self.received) >= count, TIMEOUT_SECONDS)
            return list(self.received)

    def close(self) -> None:
        self.released.set()
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()


def _handler(bot: FakeBot) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            raw = self.rfile.read(int(self.headers["Content-Length"])).decode()
            request = Received(self.path, dict(self.headers), raw, _fields(raw))
            response = bot.receive(request)
            if response.meanwhile:
                response.meanwhile(request)
            if response.silent:
                bot.released.wait(TIMEOUT_SECONDS)
            body = response.body if isinstance(response.body, bytes) else json.dumps(response.body).encode()
            kind = "text/plain" if isinstance(response.body, bytes) else "application/json"
            self.send_response(response.status)
            for name, value in (
                {"Content-Type": kind, "Content-Length": str(len(body))} | response.headers
            ).items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        @override
        def log_message(self, *_: Any) -> None:
            """Write no log."""

        @override
        def handle(self) -> None:
            try:
                super().handle()
            except ConnectionError:
                self.close_connection = True

    return Handler


def _fields(raw: str) -> dict[str, Any]:
    if raw.startswith("{"):
        return dict(json.loads(raw))
    form = {name: values[0] for name, values in parse_qs(raw, keep_blank_values=True).items()}
    return dict(json.loads(form["payload"])) if "payload" in form else form


class Page:
    """A client of the simulator's control API."""

    def __init__(self, url: str) -> None:
        self.url = url

    def post(self, path: str, headers: dict[str, str] | None = None, **body: Any) -> tuple[int, Any]:
        return self.send("POST", path, json.dumps(body).encode(), headers or {})

    def get(self, path: str, headers: dict[str, str] | None = None) -> tuple[int, Any]:
        return self.send("GET", path, None, headers or {})

    def send(self, method: str, path: str, body: bytes | None, headers: dict[str, str]) -> tuple[int, Any]:
        connection = HTTPConnection(urlsplit(self.url).netloc, timeout=TIMEOUT_SECONDS)
        try:
            connection.request(method, path, body, {"Content-Type": "application/json"} | headers)
            response = connection.getresponse()
            return response.status, _decoded(response.read())
        finally:
            connection.close()

    def fetch(self, path: str, body: bytes | None = None) -> tuple[int, bytes]:
        """Download a file, or upload one."""
        connection = HTTPConnection(urlsplit(self.url).netloc, timeout=TIMEOUT_SECONDS)
        try:
            connection.request("GET" if body is None else "POST", path, body)
            response = connection.getresponse()
            return response.status, response.read()
        finally:
            connection.close()

    def act(self, verb: str, user: str = "ava", **body: Any) -> Any:
        """Act as a person. Fail if it is not possible."""
        status, response = self.post(f"/control/{verb}", user=user, **body)
        assert status == 200, response
        return response

    def control(self, name: str, **body: Any) -> Any:
        status, response = self.post(f"/control/{name}", **body)
        assert status == 200, response
        return response

    def send_text(self, text: str, channel: str = "trading", user: str = "ava") -> Any:
        return self.act("say", user, channel=channel, text=text)

    def trigger(self, bot: FakeBot) -> str:
        self.send_text("/trade")
        return str(bot.last.fields["trigger_id"])

    def screen(self, user: str = "ava", channel: str = "trading") -> Any:
        return self.get(f"/control/state?user={user}&channel={channel}")[1]

    def messages(self, user: str = "ava", channel: str = "trading") -> Any:
        return self.screen(user, channel)["messages"]

    def texts(self, user: str = "ava", channel: str = "trading") -> list[str]:
        return [message["text"] for message in self.messages(user, channel)]

    def form(self, user: str = "ava") -> Any:
        views = self.screen(user)["views"]
        return views[-1] if views else None

    def log(self) -> Any:
        return self.get("/control/log")[1]


def _decoded(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        return body.decode()


def build_plain_text(text: str) -> dict[str, Any]:
    return {"type": "plain_text", "text": text}


def build_option(value: str, text: str = "") -> dict[str, Any]:
    return {"text": build_plain_text(text or value), "value": value}


def build_field_block(block_id: str, element: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "type": "input",
        "block_id": block_id,
        "label": build_plain_text(block_id),
        "element": {"action_id": "a"} | element,
    } | more


def build_modal(*blocks: dict[str, Any], **more: Any) -> dict[str, Any]:
    """Return a form with one text field, or with the given blocks."""
    default = build_field_block("symbol", {"type": "plain_text_input"})
    about = {
        "type": "modal",
        "title": build_plain_text("Trade"),
        "submit": build_plain_text("Place"),
        "callback_id": "trade",
    }
    return about | {"blocks": list(blocks) or [default]} | more


def build_section(text: str) -> dict[str, Any]:
    return {"type": "section", "text": {"type": "mrkdwn", "text": text}}


def build_button(action_id: str = "go", **more: Any) -> dict[str, Any]:
    return {"type": "button", "action_id": action_id, "text": build_plain_text("Go")} | more


def build_actions(*elements: dict[str, Any], block_id: str = "acts") -> dict[str, Any]:
    return {"type": "actions", "block_id": block_id, "elements": list(elements)}
