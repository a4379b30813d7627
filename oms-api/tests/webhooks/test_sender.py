"""Requests to endpoints that respond, hang, reset, redirect, send too much, or move to private addresses."""

import asyncio
from contextlib import asynccontextmanager

import pytest

from app.clock import utc_now
from app.webhooks.rules.addresses import AddressPolicy
from app.webhooks.service.sender import MAX_RESPONSE_BYTES, WebhookSender

LOOPBACK = AddressPolicy(allows_loopback=True)


@asynccontextmanager
async def serve_endpoint(send_response):
    """Serve each connection by `send_response(head, body, writer)`. Yield the port."""

    async def serve(reader, writer):
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
            await send_response(head, await reader.readexactly(length), writer)
        except ConnectionError:
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


def send_request(send_response, timeout_seconds=5.0, **changes):
    async def run():
        sender = WebhookSender(
            changes.get("policy", LOOPBACK), utc_now, timeout_seconds=timeout_seconds,
            **{name: changes[name] for name in ("resolve",) if name in changes},
        )  # fmt: skip
        async with serve_endpoint(send_response) as port:
            url = changes.get("url", "http://127.0.0.1:{port}/x?y=1").format(port=port)
            return await sender.send(1, url, {"webhook-id": "e1"}, b'{"a":1}')

    return asyncio.run(run())


def build_endpoint(content):
    async def send_response(_head, _body, writer):
        writer.write(content)
        await writer.drain()

    return send_response


def test_request_is_a_plain_post_with_its_headers_and_body():
    requests = []

    async def send_response(head, body, writer):
        requests.append((head.decode(), body))
        writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")

    result = send_request(send_response)
    assert (result.status, result.error, result.is_success) == (204, None, True)
    [(head, body)] = requests
    first, *lines = head.strip().split("\r\n")
    assert (first, body) == ("POST /x?y=1 HTTP/1.1", b'{"a":1}')
    assert {"webhook-id: e1", "Content-Length: 7", "Connection: close"} <= set(lines)
    assert any(line.startswith("Host: 127.0.0.1:") for line in lines)


@pytest.mark.parametrize("status", [200, 301, 302, 307, 308, 404, 410, 429, 500, 503])
def test_any_status_is_returned_and_redirects_are_not_followed(status):
    requests = []

    async def send_response(head, _body, writer):
        requests.append(head)
        location = "Location: http://169.254.169.254/latest/meta-data\r\nRetry-After: 7\r\n"
        writer.write(f"HTTP/1.1 {status} X\r\n{location}Content-Length: 0\r\n\r\n".encode())

    result = send_request(send_response)
    assert (result.status, result.retry_after.total_seconds(), len(requests)) == (status, 7, 1)


def test_interim_responses_are_skipped():
    content = b"HTTP/1.1 103 Early Hints\r\nLink: <x>\r\n\r\nHTTP/1.1 200 OK\r\n\r\n"
    assert send_request(build_endpoint(content)).status == 200


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"HTTP/1.1 200",
        b"SSH-2.0-OpenSSH\r\n\r\n",
        b"HTTP/1.1 2x0 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 20_000 + b"\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n" * 10,
    ],
)
def test_response_without_http_or_end_fails(content):
    result = send_request(build_endpoint(content))
    assert (result.status, result.is_success) == (None, False)
    assert result.error


def test_hanging_endpoint_is_given_up_after_the_timeout():
    async def send_response(*_):
        await asyncio.sleep(30)

    result = send_request(send_response, timeout_seconds=0.2)
    assert (result.status, result.error) == (None, "No response within 0 s.")
    assert 150 <= result.latency_ms < 5000


def test_reset_connection_fails():
    async def send_response(_head, _body, writer):
        writer.transport.abort()

    assert send_request(send_response).error.startswith("The connection was closed")


def test_refused_connection_fails():
    result = send_request(build_endpoint(b""), url="http://127.0.0.1:1/x")
    assert result.error.startswith("The connection was closed")


def test_64_megabytes_of_response_are_not_read():
    sent = 0

    async def send_response(_head, _body, writer):
        nonlocal sent
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        for _ in range(1024):
            writer.write(b"x" * 65_536)
            await writer.drain()
            sent += 65_536

    assert send_request(send_response).status == 200
    assert sent < 16 * 1024 * 1024, f"the limit is {MAX_RESPONSE_BYTES}; the rest is in buffers of the system"


def test_connection_goes_to_the_address_that_was_checked():
    """A second look-up, as of a rebinding name, must not happen."""
    hosts = []

    async def resolve(host, port):
        hosts.append(host)
        return ["127.0.0.1"] if len(hosts) == 1 else ["169.254.169.254"]

    result = send_request(
        build_endpoint(b"HTTP/1.1 200 OK\r\n\r\n"), url="http://localhost:{port}/", resolve=resolve
    )
    assert (result.status, hosts) == (200, ["localhost"])


@pytest.mark.parametrize(
    "addresses",
    [
        ["127.0.0.1"],
        ["10.0.0.1"],
        ["1.1.1.1", "169.254.169.254"],
        ["::ffff:127.0.0.1"],
        ["64:ff9b::7f00:1"],
        [],
    ],
)
def test_name_that_resolves_to_a_private_address_after_the_check_gets_nothing(addresses):
    async def resolve(_host, _port):
        return addresses

    async def send_response(*_):
        raise AssertionError("a connection")

    result = send_request(send_response, url="https://hooks.example.com:{port}/", resolve=resolve)
    assert (result.status, "address" in result.error) == (None, True)


def test_name_without_an_address_fails():
    async def resolve(_host, _port):
        raise OSError("no such name")

    assert send_request(build_endpoint(b""), url="https://hooks.example.com/", resolve=resolve).error


def test_internal_url_may_be_private_and_plain():
    async def resolve(_host, _port):
        return ["127.0.0.1"]

    async def run():
        async with serve_endpoint(build_endpoint(b"HTTP/1.1 204 X\r\n\r\n")) as port:
            url = f"http://slack-bot:{port}/oms/events"
            sender = WebhookSender(AddressPolicy(frozenset({url})), utc_now, resolve)
            other = await sender.send(1, f"{url}/other", {}, b"")
            return await sender.send(1, url, {}, b""), other

    allowed, refused = asyncio.run(run())
    assert (allowed.status, refused.status) == (204, None)


def test_endpoint_without_tls_fails_an_https_request():
    result = send_request(build_endpoint(b"HTTP/1.1 200 OK\r\n\r\n"), url="https://127.0.0.1:{port}/")
    assert result.status is None
    assert result.error
