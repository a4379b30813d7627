"""HTTP servers in place of Slack's Web API and the OMS. Tests script their responses and read their calls."""

import json
import socket
import struct
import threading
import time
from collections import defaultdict, deque
from dataclasses import dataclass, field
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from typing_extensions import override


@dataclass
class Request:
    """One request that a fake received."""

    method: str
    path: str
    headers: dict[str, str]
    body: Any
    query: dict[str, str]
    at: float


@dataclass
class Response:
    """The response of a fake, sent after `slow` seconds.

    With `drop`, the fake closes the connection instead.
    """

    status: int = 200
    body: Any = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    slow: float = 0.0
    drop: bool = False


class FakeServer:
    """A threaded HTTP server. Setting `released` ends every delay."""

    def __init__(self) -> None:
        self.calls: list[Request] = []
        self.answered: list[Request] = []
        self.queued_responses: dict[str, deque[Response]] = defaultdict(deque)
        self.default_responses: dict[str, Response] = {}
        self.changed = threading.Condition()
        self.released = threading.Event()
        self._httpd = _Httpd(("127.0.0.1", 0), _build_handler(self))
        self.url = f"http://127.0.0.1:{self._httpd.server_port}"
        self._thread = threading.Thread(target=self._httpd.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    def queue_responses(self, name: str, *responses: Response) -> None:
        """Set the responses of the next calls of `name`, in order."""
        self.queued_responses[name].extend(responses)

    def stop(self) -> None:
        self.released.set()
        self._httpd.shutdown()
        self._httpd.server_close()

    def list_requests(self, name: str) -> list[Request]:
        with self.changed:
            return [call for call in self.calls if self.name_of(call) == name]

    def wait_for(self, name: str, count: int = 1, seconds: float = 60.0) -> list[Request]:
        """Return the calls of `name` when there are at least `count`. Fail after a timeout."""
        with self.changed:
            enough = self.changed.wait_for(lambda: len(self._list_requests(name)) >= count, seconds)
            assert enough, f"{count} × {name} expected, got {[self.name_of(call) for call in self.calls]}"
            return self._list_requests(name)

    def _list_requests(self, name: str) -> list[Request]:
        return [call for call in self.calls if self.name_of(call) == name]

    def receive(self, call: Request) -> Response:
        name = self.name_of(call)
        with self.changed:
            queued = self.queued_responses[name]
            response = queued.popleft() if queued else self.default_responses.get(name)
            if response is None:
                response = self.build_default_response(call)
            self.calls.append(call)
            self.changed.notify_all()
        if response.slow:
            self.released.wait(response.slow)
        self.answered.append(call)
        return response

    def name_of(self, call: Request) -> str:
        raise NotImplementedError

    def build_default_response(self, call: Request) -> Response:
        raise NotImplementedError


class FakeSlack(FakeServer):
    """The Web API (`api/<method>`) and response URLs (`/respond/…`)."""

    def __init__(self) -> None:
        self.views = 0
        self.posts = 0
        self.files = 0
        self.teams: dict[str, str] = {}  # workspaces of people, `T1` by default
        self.hashes = 0
        self.current_hash: dict[str, str] = {}
        self.shown: dict[str, Any] = {}  # the views that people see, by view id
        super().__init__()

    @property
    def api_url(self) -> str:
        return f"{self.url}/api/"

    @property
    def response_url(self) -> str:
        return f"{self.url}/respond/T1/abc"

    def refuse(self, method: str, code: str) -> None:
        self.default_responses[method] = Response(body={"ok": False, "error": code})

    @override
    def name_of(self, call: Request) -> str:
        kind = call.path.split("/")[1]
        return kind if kind in ("respond", "upload") else call.path.rpartition("/")[2]

    @override
    def build_default_response(self, call: Request) -> Response:
        name = self.name_of(call)
        if name in ("respond", "upload"):
            return Response(body={"ok": True})
        if name == "files.getUploadURLExternal":
            self.files += 1
            file_id = f"F{self.files}"
            return Response(
                body={"ok": True, "file_id": file_id, "upload_url": f"{self.url}/upload/{file_id}"}
            )
        return Response(body={"ok": True} | self._body(name, call.body))

    def _body(self, name: str, body: dict[str, Any]) -> dict[str, Any]:
        if name in ("views.open", "views.push"):
            self.views += 1
            return {"view": self._view(f"V{self.views}")}
        if name == "views.update":
            return self._update(body)
        if name == "auth.test":
            return {"team_id": "T1", "user_id": "UBOT", "bot_id": "BBOT", "is_enterprise_install": False}
        if name == "users.info":
            return {"user": {"id": body["user"], "team_id": self.teams.get(body["user"], "T1")}}
        if name == "conversations.open":
            return {"channel": {"id": f"D-{body['users']}"}}
        self.posts += name == "chat.postMessage"
        return {"ts": f"{self.posts}.0", "channel": body.get("channel", "")}

    def _update(self, body: dict[str, Any]) -> dict[str, Any]:
        current = self.current_hash.get(body["view_id"])
        if body.get("hash") and current and body["hash"] != current:
            return {"ok": False, "error": "hash_conflict"}
        self.shown[body["view_id"]] = body["view"]
        return {"view": self._view(body["view_id"])}

    def _view(self, view_id: str) -> dict[str, Any]:
        self.hashes += 1
        self.current_hash[view_id] = f"h{self.hashes}"
        return {"id": view_id, "root_view_id": view_id, "hash": f"h{self.hashes}"}


def build_trade_json(body: dict[str, Any], trade_id: str) -> dict[str, Any]:
    quantity, gmv = Decimal(body["quantity"]), Decimal(body["gmv"])
    return {
        "trade_id": trade_id,
        "symbol": body["symbol"],
        "side": body["side"],
        "quantity": body["quantity"],
        "gmv": f"{gmv:.2f}",
        "price": f"{gmv / quantity:.2f}",
        "portfolio_name": body["portfolio_name"],
        "user_id": body.get("user_id"),
        "timestamp": "2026-11-21T10:00:00.000000Z",
        "realized_pnl": "0.00",
        "position": {"quantity": body["quantity"], "avg_cost": f"{gmv / quantity:.2f}"},
    }


def build_problem(
    status: int, detail: str, errors: list[dict[str, str]] | None = None, kind: str = "problem"
) -> Response:
    """Return a problem document of the OMS."""
    body = {
        "type": f"/problems/{kind}",
        "title": "Refused",
        "status": status,
        "detail": detail,
        "errors": errors or [],
    }
    return Response(status, body, {"Content-Type": "application/problem+json"})


class _Httpd(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    @override
    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignore clients that close the connection: some tests do."""


def _build_handler(server: FakeServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_POST(self) -> None:
            raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            self.respond(server.receive(self.call(_parse(raw, self.headers.get("Content-Type", "")))))

        do_PUT = do_POST  # noqa: N815 - the name that http.server calls
        do_PATCH = do_POST  # noqa: N815 - the name that http.server calls
        do_DELETE = do_POST  # noqa: N815 - the name that http.server calls

        def do_GET(self) -> None:
            self.respond(server.receive(self.call(None)))

        def call(self, body: Any) -> Request:
            parts = urlsplit(self.path)
            query = {name: values[0] for name, values in parse_qs(parts.query).items()}
            headers = {name.lower(): value for name, value in self.headers.items()}
            return Request(self.command, unquote(parts.path), headers, body, query, time.monotonic())

        def respond(self, response: Response) -> None:
            if response.drop:
                linger = struct.pack("ii", 1, 0)
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                self.connection.shutdown(socket.SHUT_RDWR)
                self.close_connection = True
                return
            body = response.body if isinstance(response.body, bytes) else json.dumps(response.body).encode()
            self.send_response(response.status)
            for name, value in ({"Content-Type": "application/json"} | response.headers).items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        @override
        def log_message(self, format: str, *args: Any) -> None:
            """Write no log."""

    return Handler


def _parse(raw: bytes, content_type: str) -> Any:
    if content_type == "application/octet-stream":
        return raw
    if content_type.startswith("application/json"):
        return json.loads(raw or b"{}")
    values = {name: each[0] for name, each in parse_qs(raw.decode(), keep_blank_values=True).items()}
    return {name: _json_or_text(value) for name, value in values.items()}


def _json_or_text(value: str) -> Any:
    return json.loads(value) if value[:1] in ("{", "[") else value
