"""The outermost ASGI middleware: request ids, the body size limit, access log, metrics and fallback errors.

Performance-critical routes (`async_direct_routes`) are served here, without the framework's routing and body
parsing. They are registered with the framework as well, which documents them. The HTTP protocol passes
requests of `direct_routes` to `start_direct_request`, past ASGI.
"""

import asyncio
import logging
import re
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping, MutableMapping, Sequence
from functools import partial
from typing import Any
from urllib.parse import parse_qsl

from app.addresses import AddressResolver
from app.clock import Now
from app.correlation import correlate, parse_trace_id, set_correlation
from app.errors import Forbidden, Malformed, OmsError, OutcomeUnknown, Unexpected
from app.forwarding import ForwardedExchange, Forwarder
from app.http.direct_routes import (
    WILDCARD_SEGMENT,
    AsyncDirectRoute,
    DirectRequest,
    DirectRoute,
    JsonResponse,
    PendingResponse,
    RequestInfo,
)
from app.http.problems import build_problem_body, build_problem_headers
from app.http_server.deadline import Deadline
from app.http_server.request_body import AsgiMessage, Disconnected, Receive, read_body, replay_body
from app.ids import generate_request_id
from app.logs import AccessLog
from app.metrics import Metrics

AsgiScope = MutableMapping[str, Any]
Send = Callable[[AsgiMessage], Awaitable[None]]
App = Callable[[AsgiScope, Receive, Send], Awaitable[None]]

API_PREFIX = "/api/v1"
BODY_TIMEOUT_SECONDS = 10.0
_REQUEST_ID_PATTERN = re.compile(rb"[A-Za-z0-9._:-]{1,100}")
HOOK_PATH = "/api/v1/signals/hook/"  # a token follows, which is not logged
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
COMMON_HEADERS = [
    (b"x-content-type-options", b"nosniff"),
    (b"cache-control", b"no-store"),
    (b"referrer-policy", b"no-referrer"),
]
_SINGLE_VALUE_HEADERS = (
    b"x-api-key", b"authorization", b"x-on-behalf-of", b"idempotency-key", b"content-type",
    b"content-encoding", b"x-request-id",
)  # fmt: skip
# Production is served behind TLS. Browsers ignore this header over plain HTTP.
PRODUCTION_HEADERS = [*COMMON_HEADERS, (b"strict-transport-security", b"max-age=31536000")]
_WORKER_STOPPED_MESSAGE = "The process that had the request stopped; send it again with the same key."
_LOG = logging.getLogger(__name__)


class RequestMiddleware:
    """ASGI middleware: request ID, body limit, access log, metrics, problem responses.

    `async_direct_routes` maps (method, path) to routes that may await queries, and `direct_routes` to routes
    that may not. A path of the former may end in `WILDCARD_SEGMENT`, which matches any segment.
    """

    def __init__(
        self,
        app: App,
        metrics: Metrics,
        access_log: AccessLog,
        now: Now,
        async_direct_routes: dict[tuple[str, str], AsyncDirectRoute],
        headers: Sequence[tuple[bytes, bytes]] = COMMON_HEADERS,
        addresses: AddressResolver | None = None,
        body_seconds: float = BODY_TIMEOUT_SECONDS,
        direct_routes: dict[tuple[str, str], DirectRoute] | None = None,
        forwarder: Forwarder | None = None,
    ) -> None:
        self.direct_routes = direct_routes or {}
        self._app = app
        self._forwarder = forwarder
        self._addresses = addresses or AddressResolver()
        self._body_deadline = Deadline(body_seconds)
        self._headers = headers
        self._metrics = metrics
        self._access_log = access_log
        self._now = now
        self._async_direct_routes = async_direct_routes
        self._common_fields = _encode_headers(headers)
        self._tasks: set[asyncio.Task[None]] = set()

    async def __call__(self, scope: AsgiScope, receive: Receive, send: Send) -> None:
        """Serve one request. Pass everything but HTTP through, a WebSocket with its request."""
        if scope["type"] != "http":
            if scope["type"] == "websocket":
                scope.setdefault("state", {})["request_info"] = self._build_request(scope)
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        request = self._build_request(scope)
        set_correlation(request_id=request.request_id, trace_id=request.trace_id)
        response_sender = _ResponseSender(send, self._headers, request)
        await self._respond_to_request(
            scope,
            request,
            response_sender,
            started,
            self._serve_request(scope, receive, request, response_sender),
        )

    def start_direct_request(self, direct_request: DirectRequest) -> None:
        """Start to serve a request by its direct route: in the worker process of its partition, or here."""
        started = time.perf_counter()
        request = self._build_direct_request(direct_request)
        if self._forwarder is not None and self._forwarder.forward(
            direct_request,
            request,
            partial(self._serve_direct_request_here, direct_request, request, started),
            partial(self._report_unknown, direct_request, request, started),
        ):
            return
        self._serve_direct_request_here(direct_request, request, started)

    def start_forwarded_exchange(self, exchange: ForwardedExchange) -> None:
        """Start to serve a request that another worker process forwarded."""

        def decline() -> None:
            self._run_in_background(self(exchange.scope, exchange.receive, exchange.send))

        route = self.direct_routes.get((exchange.scope["method"], exchange.scope["path"]))
        if route is None:
            decline()
            return
        direct_request = DirectRequest(route, exchange, exchange.headers, exchange.respond, decline)
        started = time.perf_counter()
        self._serve_direct_request_here(direct_request, self._build_direct_request(direct_request), started)

    def _build_direct_request(self, direct_request: DirectRequest) -> RequestInfo:
        scope, headers = direct_request.exchange.scope, direct_request.headers
        request = RequestInfo(
            headers, bytes(direct_request.exchange.body), scope["path"], _get_or_generate_request_id(headers)
        )
        request.address = self._find_address(scope)
        request.trace_id = parse_trace_id(headers.get(b"traceparent"))
        return request

    def _serve_direct_request_here(
        self, direct_request: DirectRequest, request: RequestInfo, started: float
    ) -> None:
        try:
            with correlate(request_id=request.request_id, trace_id=request.trace_id):
                pending_response = direct_request.route(request)
        except Exception:  # noqa: BLE001  # the ASGI application meets the same error, and responds
            pending_response = None
        if pending_response is None:
            direct_request.decline()
        else:
            self._add_completion_callback(direct_request, request, pending_response, started)

    def _report_unknown(self, direct_request: DirectRequest, request: RequestInfo, started: float) -> None:
        """Respond that the outcome is unknown, because the worker process that had the request stopped."""
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        future.set_exception(OutcomeUnknown(_WORKER_STOPPED_MESSAGE))
        pending_response = PendingResponse(future, build=_build_no_response)
        self._add_completion_callback(direct_request, request, pending_response, started)

    def _add_completion_callback(
        self,
        direct_request: DirectRequest,
        request: RequestInfo,
        pending_response: PendingResponse,
        started: float,
    ) -> None:
        direct_request.exchange.scope["oms_route"] = request.path
        finish = partial(self._complete_direct_request, direct_request, request, pending_response, started)
        pending_response.future.add_done_callback(finish)

    def _complete_direct_request(
        self, direct_request: DirectRequest, request: RequestInfo, pending_response: PendingResponse,
        started: float, future: "asyncio.Future[Any]",
    ) -> None:  # fmt: skip
        exchange = direct_request.exchange
        try:
            response = pending_response.build(future.result())
        except Exception:  # noqa: BLE001  # raised again by `wait`, and handled as everywhere
            response_sender = _ResponseSender(exchange.send, self._headers, request)
            response_work = self._respond_to_request(
                exchange.scope,
                request,
                response_sender,
                started,
                response_sender.send_pending(pending_response),
            )
            self._run_in_background(response_work)
            return
        fields = b"content-type: application/json\r\ncontent-length: %d\r\n%b%bx-request-id: %b\r\n%b" % (
            len(response.body),
            _encode_headers(response.headers),
            self._common_fields,
            request.request_id.encode(),
            b"" if request.rate is None else _encode_headers(request.rate.headers),
        )
        direct_request.respond(exchange, response.status, fields, response.body)
        self._log_request(exchange.scope, request, response.status, time.perf_counter() - started)

    def _run_in_background(self, response_work: Coroutine[Any, Any, None]) -> None:
        """Run `response_work` in a task that is referenced until it ends."""
        task = asyncio.get_running_loop().create_task(response_work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _respond_to_request(
        self, scope: AsgiScope, request: RequestInfo, response_sender: "_ResponseSender", started: float,
        response_work: Awaitable[None],
    ) -> None:  # fmt: skip
        """Do the work that responds. Respond with a problem if it fails, and log the request."""
        try:
            await response_work
        except Disconnected:
            return
        except OmsError as error:
            await response_sender.send_problem(error)
        except Exception:  # noqa: BLE001  # logged; the response is a problem with the request id
            with correlate(request_id=request.request_id, trace_id=request.trace_id):
                _LOG.exception("unexpected error")
            await response_sender.send_problem(Unexpected())
        if response_sender.status == Forbidden.status and request.on_denied is not None:
            request.on_denied()
        self._log_request(scope, request, response_sender.status, time.perf_counter() - started)

    def _build_request(self, scope: AsgiScope) -> RequestInfo:
        headers = dict(scope["headers"])
        request = RequestInfo(
            headers,
            b"",
            scope["path"],
            _get_or_generate_request_id(headers),
            address=self._find_address(scope),
        )
        request.trace_id = parse_trace_id(headers.get(b"traceparent"))
        return request

    def _find_address(self, scope: AsgiScope) -> str:
        client = scope.get("client")
        return self._addresses.resolve(client[0] if client else None, scope["headers"])

    async def _serve_request(
        self, scope: AsgiScope, receive: Receive, request: RequestInfo, response_sender: "_ResponseSender"
    ) -> None:
        _validate_single_values(scope, request.headers)
        request.body = await read_body(request.headers, receive, self._body_deadline)
        route = self._find_async_direct_route(scope, request)
        if route is not None:
            await response_sender.send_response(await route(request))
            return
        scope.setdefault("state", {})["request_info"] = request
        await self._app(scope, replay_body(request.body, receive), response_sender)

    def _find_async_direct_route(self, scope: AsgiScope, request: RequestInfo) -> AsyncDirectRoute | None:
        if scope["query_string"]:
            return None  # other variants of the request go to the framework
        method, path = scope["method"], request.path
        route = self._async_direct_routes.get((method, path))
        if route is None:
            head, _, request.last_segment = path.rpartition("/")
            path = f"{head}/{WILDCARD_SEGMENT}"
            route = self._async_direct_routes.get((method, path)) if request.last_segment else None
        if route is not None:
            scope["oms_route"] = path
        return route

    def _log_request(self, scope: AsgiScope, request: RequestInfo, status: int, seconds: float) -> None:
        method = scope["method"] if scope["method"] in _METHODS else "OTHER"
        route = scope.get("oms_route") or _get_route_template(scope)
        self._metrics.request(method, route, status, seconds)
        schedule = asyncio.get_running_loop().call_later
        path = f"{HOOK_PATH}…" if request.path.startswith(HOOK_PATH) else request.path
        self._access_log.add(
            schedule,
            self._now(),
            method,
            path,
            status,
            seconds,
            request.request_id,
            request.caller,
            request.trace_id,
        )


class _ResponseSender:
    """The connection to the client. Adds the common headers and records the progress of the response."""

    def __init__(self, send: Send, headers: Sequence[tuple[bytes, bytes]], request: RequestInfo) -> None:
        self._send = send
        self._request = request
        self._headers = [*headers, (b"x-request-id", request.request_id.encode())]
        self.status = 0
        self._is_complete = False

    async def __call__(self, message: AsgiMessage) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            rate = self._request.rate
            rate_headers = rate.headers if rate is not None else ()
            message["headers"] = [*message.get("headers", ()), *self._headers, *rate_headers]
        self._is_complete = message["type"] == "http.response.body" and not message.get("more_body")
        await self._send(message)

    async def send_response(self, response: JsonResponse) -> None:
        length = str(len(response.body)).encode()
        headers = [(b"content-type", b"application/json"), (b"content-length", length), *response.headers]
        await self({"type": "http.response.start", "status": response.status, "headers": headers})
        await self({"type": "http.response.body", "body": response.body})

    async def send_pending(self, pending_response: PendingResponse) -> None:
        await self.send_response(await pending_response.wait())

    async def send_problem(self, error: OmsError) -> None:
        if self._is_complete:
            return  # the framework has already responded
        if self.status:
            raise error  # half of the response is sent: let the server close the connection
        body = build_problem_body(error, self._request.path, self._request.request_id)
        headers = [(name.encode(), value.encode()) for name, value in build_problem_headers(error).items()]
        headers.append((b"content-length", str(len(body)).encode()))
        await self({"type": "http.response.start", "status": error.status, "headers": headers})
        await self({"type": "http.response.body", "body": body})


def _build_no_response(_: object) -> JsonResponse:
    raise Unexpected  # its future always has an error


def _encode_headers(headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    """Return the header fields as they are sent."""
    return b"".join([b"%b: %b\r\n" % field for field in headers])


def _get_or_generate_request_id(headers: Mapping[bytes, bytes]) -> str:
    client_id = headers.get(b"x-request-id", b"")
    return client_id.decode() if _REQUEST_ID_PATTERN.fullmatch(client_id) else generate_request_id()


def _validate_single_values(scope: AsgiScope, headers: Mapping[bytes, bytes]) -> None:
    """Reject security-relevant headers and parameters that occur twice.

    Two parsers could read them differently.
    """
    if len(headers) != len(scope["headers"]):
        names = [name for name, _ in scope["headers"]]
        for name in _SINGLE_VALUE_HEADERS:
            if names.count(name) > 1:
                raise Malformed(f"The header {name.decode()} occurs twice; send it once.")
    if b"&" in scope["query_string"]:
        names = [
            name for name, _ in parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
        ]
        if len(set(names)) != len(names):
            raise Malformed("A query parameter occurs twice; send it once.")


def _get_route_template(scope: AsgiScope) -> str:
    route = scope.get("route")
    path = getattr(route, "path_format", None) or getattr(route, "path", None)
    if not isinstance(path, str):
        return "unmatched"
    is_prefixed = scope["path"].startswith(API_PREFIX) and not path.startswith(API_PREFIX)
    return API_PREFIX + path if is_prefixed else path  # a router's route does not include its prefix
