"""The ASGI middleware by message: bodies in parts, disconnected clients, interrupted answers."""

import asyncio

import pytest

from app.errors import Conflict
from app.http.direct_routes import JsonResponse
from app.http_server.request_body import MAX_BODY_BYTES
from app.http_server.request_middleware import RequestMiddleware
from app.logs import AccessLog
from app.metrics import Metrics
from app.rate_limit import Quotas, RateLimiter
from tests.factories import NOON

STALLED = b"the client sends no more"


def serve_request(
    app,
    pieces,
    fast=None,
    headers=((b"transfer-encoding", b"chunked"),),
    kind="http",
    method="POST",
    **options,
):
    """Send a body in `pieces` (None: the client leaves) and return the messages that were answered."""
    sent, requests = [], []

    async def receive():
        requests.append(1)
        if pieces[len(requests) - 1 :] == [STALLED]:
            await asyncio.Event().wait()
        if len(requests) > len(pieces):
            raise AssertionError("read past the end")
        piece = pieces[len(requests) - 1]
        if piece is None:
            return {"type": "http.disconnect"}
        return {"type": "http.request", "body": piece, "more_body": len(requests) < len(pieces)}

    async def send(message):
        sent.append(message)

    async def run():
        metrics = Metrics()
        request_middleware = RequestMiddleware(
            app, metrics, AccessLog(True, lambda _: None), lambda: NOON, fast or {}, **options
        )
        await request_middleware(
            {"type": kind, "method": method, "path": "/x", "query_string": b"", "headers": list(headers)},
            receive,
            send,
        )

    asyncio.run(run())
    return sent, len(requests)


def serve_messages(app, messages):
    """Send these messages, whatever they say, and return those that were answered."""
    incoming, sent = list(messages), []

    async def receive():
        return incoming.pop(0)

    async def send(message):
        sent.append(message)

    async def run():
        request_middleware = RequestMiddleware(
            app, Metrics(), AccessLog(True, lambda _: None), lambda: NOON, {}
        )
        head = {"type": "http", "method": "POST", "path": "/x", "query_string": b""}
        await request_middleware({**head, "headers": [(b"transfer-encoding", b"chunked")]}, receive, send)

    asyncio.run(run())
    return sent


async def echo_app(scope, receive, send):
    message = await receive()
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": message["body"]})


async def unreachable_app(scope, receive, send):
    raise AssertionError("must not be called")


def test_body_in_parts_is_joined():
    sent, _ = serve_request(echo_app, [b"ab", b"", b"c"])
    assert (sent[0]["status"], sent[1]["body"]) == (200, b"abc")


def test_body_reading_stops_at_the_size_limit():
    sent, receive_count = serve_request(unreachable_app, [b"x" * 300_000] * 60)
    assert sent[0]["status"] == 413
    assert receive_count == MAX_BODY_BYTES // 300_000 + 1


@pytest.mark.parametrize("length", [b"1000001", b"60000000", b"9" * 5000])
def test_content_length_over_the_limit_is_rejected_without_reading(length):
    sent, receive_count = serve_request(unreachable_app, [], headers=[(b"content-length", length)])
    assert (sent[0]["status"], receive_count) == (413, 0)


@pytest.mark.parametrize("pieces", [[None], [b"a", None]])
def test_disconnected_client_is_not_served(pieces):
    assert serve_request(unreachable_app, pieces)[0] == []


@pytest.mark.parametrize("pieces", [[STALLED], [b"a", STALLED]])
def test_late_body_is_rejected_and_the_connection_closed(pieces):
    sent, _ = serve_request(unreachable_app, pieces, body_seconds=0.01)
    assert sent[0]["status"] == 408
    assert (b"connection", b"close") in sent[0]["headers"]
    assert b"urn:slackoms:problem/too-slow" in sent[1]["body"]


def test_fast_route_has_rate_limit_headers_and_the_client_address():
    limiter = RateLimiter(Quotas(10))

    async def fast(request):
        request.rate = limiter.take("a", 1, request.address)
        return JsonResponse(200, request.address.encode())

    sent, _ = serve_request(unreachable_app, [b""], {("POST", "/x"): fast})
    assert sent[1]["body"] == b"-"
    assert dict(sent[0]["headers"])[b"ratelimit"] == b'"default";r=9;t=6'


def test_fast_route_is_served_by_the_middleware_with_problem_details():
    async def fast(request):
        if request.body == b"bad":
            raise Conflict("no")
        return JsonResponse(201, request.body, ((b"x-more", b"1"),))

    routes = {("POST", "/x"): fast}
    good, _ = serve_request(unreachable_app, [b"good"], routes)
    assert (good[0]["status"], good[1]["body"]) == (201, b"good")
    assert (b"x-more", b"1") in good[0]["headers"]
    bad, _ = serve_request(unreachable_app, [b"bad"], routes)
    assert bad[0]["status"] == 409


def test_interrupted_answer_is_not_completed():
    async def half(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        raise RuntimeError("half-way")

    with pytest.raises(Exception, match="logged under this request ID"):
        serve_request(half, [b""])


def test_other_protocols_are_passed_through():
    async def other(scope, receive, send):
        await send({"type": scope["type"]})

    assert serve_request(other, [], kind="lifespan")[0] == [{"type": "lifespan"}]


def test_application_receives_the_body_once_and_then_the_disconnect():
    heard = []

    async def listens(scope, receive, send):
        heard.extend([(await receive())["body"], (await receive())["type"]])
        await send({"type": "http.response.start", "status": 204, "headers": []})

    messages = [
        {"type": "http.request", "body": b"a", "more_body": False},
        {"type": "http.request", "body": b"", "more_body": False},
        {"type": "http.disconnect"},
    ]
    assert serve_messages(listens, messages)[0]["status"] == 204
    assert heard == [b"a", "http.disconnect"]
