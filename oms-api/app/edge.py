"""The outermost ASGI middleware: request ids, the body size limit, access log, metrics and fallback errors.

Performance-critical routes are served here (`fast`), without the framework's routing and body parsing. They
are registered with the framework as well, which documents them.
"""

import asyncio
import logging
import re
import time
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

from app.addresses import AddressResolver
from app.clock import Now
from app.deadline import Deadline
from app.errors import Forbidden, Malformed, OmsError, TooLarge, TooSlow, Unexpected, UnsupportedMediaType
from app.ids import new_request_id
from app.logs import AccessLog
from app.metrics import Metrics
from app.rate_limit import RateState
from app.wire.problems import problem_body, problem_headers

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

API_PREFIX = "/api/v1"
TAIL = "{name}"
BODY_LIMIT = 1_000_000
BODY_SECONDS = 10.0
_REQUEST_ID = re.compile(rb"[A-Za-z0-9._:-]{1,100}")
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
COMMON_HEADERS = [
    (b"x-content-type-options", b"nosniff"),
    (b"cache-control", b"no-store"),
    (b"referrer-policy", b"no-referrer"),
]
_ONCE = (
    *(b"x-api-key", b"authorization", b"x-on-behalf-of", b"idempotency-key", b"content-type"),
    *(b"content-encoding", b"x-request-id"),
)
# Production is served behind TLS. Browsers ignore this header over plain HTTP.
PRODUCTION_HEADERS = [*COMMON_HEADERS, (b"strict-transport-security", b"max-age=31536000")]
_LOG = logging.getLogger(__name__)


@dataclass(slots=True)
class FastRequest:
    """A request to a fast route. Header names are in lower case; security-relevant headers occur only once.

    The rate of `address` is charged. Authentication sets `caller`, `rate`, which is added to the response,
    and `denied`, which is called when an authenticated caller gets a 403.
    """

    headers: dict[bytes, bytes] = field(repr=False)  # may contain keys and passwords
    body: bytes = field(repr=False)
    path: str
    request_id: str
    caller: str = "-"
    tail: str = ""
    address: str = "-"
    rate: RateState | None = None
    denied: Callable[[], None] | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class FastResponse:
    """A JSON response of a fast route."""

    status: int
    body: bytes
    headers: tuple[tuple[bytes, bytes], ...] = ()


FastRoute = Callable[[FastRequest], Awaitable[FastResponse]]


class Disconnected(Exception):
    """The client disconnected before its request was complete."""


class Edge:
    """The middleware.

    `fast` maps (method, path) to fast routes. A path may end in TAIL, which matches any segment.
    """

    def __init__(
        self,
        app: App,
        metrics: Metrics,
        access_log: AccessLog,
        now: Now,
        fast: dict[tuple[str, str], FastRoute],
        headers: Sequence[tuple[bytes, bytes]] = COMMON_HEADERS,
        addresses: AddressResolver | None = None,
        body_seconds: float = BODY_SECONDS,
    ) -> None:
        self._app = app
        self._addresses = addresses or AddressResolver()
        self._body_deadline = Deadline(body_seconds)
        self._headers = headers
        self._metrics = metrics
        self._access_log = access_log
        self._now = now
        self._fast = fast

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request. Pass everything but HTTP through."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        headers = dict(scope["headers"])
        request = FastRequest(headers, b"", scope["path"], _request_id(headers), address=self._address(scope))
        answer = _ResponseSender(send, self._headers, request)
        try:
            _refuse_repeats(scope, headers)
            request.body = await _read_body(headers, receive, self._body_deadline)
            await self._serve(scope, receive, request, answer)
        except Disconnected:
            return
        except OmsError as error:
            await answer.problem(error)
        except Exception:  # noqa: BLE001  # the request's edge: logged, and answered with the request id
            _LOG.exception("unexpected error", extra={"request_id": request.request_id})
            await answer.problem(Unexpected())
        if answer.status == Forbidden.status and request.denied is not None:
            request.denied()
        self._log_request(scope, request, answer.status, time.perf_counter() - started)

    def _address(self, scope: Scope) -> str:
        client = scope.get("client")
        return self._addresses.resolve(client[0] if client else None, scope["headers"])

    async def _serve(
        self, scope: Scope, receive: Receive, request: FastRequest, answer: "_ResponseSender"
    ) -> None:
        fast = self._fast_route(scope, request)
        if fast is not None:
            await answer.send_fast(await fast(request))
            return
        scope.setdefault("state", {})["edge"] = request
        await self._app(scope, _replay(request.body, receive), answer)

    def _fast_route(self, scope: Scope, request: FastRequest) -> FastRoute | None:
        if scope["query_string"]:
            return None  # other variants of the request go to the framework
        method, path = scope["method"], request.path
        fast = self._fast.get((method, path))
        if fast is None:
            head, _, request.tail = path.rpartition("/")
            path = f"{head}/{TAIL}"
            fast = self._fast.get((method, path)) if request.tail else None
        if fast is not None:
            scope["oms_route"] = path
        return fast

    def _log_request(self, scope: Scope, request: FastRequest, status: int, seconds: float) -> None:
        method = scope["method"] if scope["method"] in _METHODS else "OTHER"
        route = scope.get("oms_route") or _route_template(scope)
        self._metrics.request(method, route, status, seconds)
        schedule = asyncio.get_running_loop().call_later
        self._access_log.add(
            schedule, self._now(), method, request.path, status, seconds, request.request_id, request.caller
        )


class _ResponseSender:
    """The connection to the client. Adds the common headers and records what was sent."""

    def __init__(self, send: Send, headers: Sequence[tuple[bytes, bytes]], request: FastRequest) -> None:
        self._send = send
        self._request = request
        self._headers = [*headers, (b"x-request-id", request.request_id.encode())]
        self.status = 0
        self._is_whole = False

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            rate = self._request.rate
            rate_headers = rate.headers if rate is not None else ()
            message["headers"] = [*message.get("headers", ()), *self._headers, *rate_headers]
        self._is_whole = message["type"] == "http.response.body" and not message.get("more_body")
        await self._send(message)

    async def send_fast(self, answer: FastResponse) -> None:
        length = str(len(answer.body)).encode()
        headers = [(b"content-type", b"application/json"), (b"content-length", length), *answer.headers]
        await self({"type": "http.response.start", "status": answer.status, "headers": headers})
        await self({"type": "http.response.body", "body": answer.body})

    async def problem(self, error: OmsError) -> None:
        if self._is_whole:
            return  # the framework has already responded
        if self.status:
            raise error  # half of the response is sent: let the server close the connection
        body = problem_body(error, self._request.path, self._request.request_id)
        headers = [(name.encode(), value.encode()) for name, value in problem_headers(error).items()]
        headers.append((b"content-length", str(len(body)).encode()))
        await self({"type": "http.response.start", "status": error.status, "headers": headers})
        await self({"type": "http.response.body", "body": body})


def _request_id(headers: dict[bytes, bytes]) -> str:
    sent = headers.get(b"x-request-id", b"")
    return sent.decode() if _REQUEST_ID.fullmatch(sent) else new_request_id()


def _refuse_repeats(scope: Scope, headers: dict[bytes, bytes]) -> None:
    """Reject security-relevant headers and parameters that occur twice.

    Two parsers could read them differently.
    """
    if len(headers) != len(scope["headers"]):
        names = [name for name, _ in scope["headers"]]
        for name in _ONCE:
            if names.count(name) > 1:
                raise Malformed(f"The header {name.decode()} occurs twice.")
    if b"&" in scope["query_string"]:
        names = [
            name for name, _ in parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
        ]
        if len(set(names)) != len(names):
            raise Malformed("A query parameter occurs twice.")


async def _read_body(headers: dict[bytes, bytes], receive: Receive, deadline: Deadline) -> bytes:
    """Read the whole body. Reject it if it exceeds the limit, without reading on, or if it is late."""
    declared = headers.get(b"content-length", b"0")
    if declared.isdigit() and int(declared[:20]) > BODY_LIMIT:
        raise _too_large()
    if declared == b"0" and b"transfer-encoding" not in headers:
        return b""
    if headers.get(b"content-encoding", b"identity").lower() != b"identity":
        raise UnsupportedMediaType("Send the body as it is, without Content-Encoding.")
    try:
        body = await deadline.wait_for(_whole_body(receive))
    except TimeoutError:
        raise _too_slow(deadline.seconds) from None
    if len(body) > BODY_LIMIT:
        raise _too_large()
    return body


async def _whole_body(receive: Receive) -> bytes:
    message = await receive()
    body: bytes = message.get("body", b"")
    while message["type"] == "http.request" and message.get("more_body") and len(body) <= BODY_LIMIT:
        message = await receive()
        body += message.get("body", b"")
    if message["type"] == "http.disconnect":
        raise Disconnected
    return body


def _too_slow(seconds: float) -> TooSlow:
    error = TooSlow(f"Send the whole body within {seconds:g} seconds.")
    error.headers = {"connection": "close"}
    return error


def _too_large() -> TooLarge:
    return TooLarge(f"A body may hold at most {BODY_LIMIT:,} bytes.")


def _replay(body: bytes, receive: Receive) -> Receive:
    """Return a receive function that yields the body once, and then the disconnect, which ends a stream."""
    messages = [{"type": "http.request", "body": body, "more_body": False}]

    async def replay() -> Message:
        if messages:
            return messages.pop()
        while (message := await receive())["type"] != "http.disconnect":
            pass  # the rest of a body that was read or rejected
        return message

    return replay


def _route_template(scope: Scope) -> str:
    route = scope.get("route")
    path = getattr(route, "path_format", None) or getattr(route, "path", None)
    if not isinstance(path, str):
        return "unmatched"
    is_prefixed = scope["path"].startswith(API_PREFIX) and not path.startswith(API_PREFIX)
    return API_PREFIX + path if is_prefixed else path  # a router's route does not include its prefix
