"""Send a request to an endpoint: at a checked address, without redirects, in bounded time and memory.

HTTP libraries resolve the host again after the check, and could then connect to another address (DNS
rebinding). Therefore the request is written here.
"""

import asyncio
import ssl
from collections.abc import Mapping
from contextlib import suppress
from functools import cache

from app.clock import Now, monotonic_seconds
from app.webhooks.rules.addresses import AddressPolicy, DeliveryTarget, is_permitted, parse_address, parse_url
from app.webhooks.rules.attempts import AttemptResult, parse_retry_after
from app.webhooks.service.host_lookups import HostLookups, LookupKey, ResolveHost, resolve_host

TIMEOUT_SECONDS = 10.0
MAX_RESPONSE_BYTES = 64 * 1024
_DRAIN_SECONDS = 1.0  # to read the rest of the response, so that the endpoint is not cut off
_MAX_INFORMATIONAL_RESPONSES = 5
_HEAD_TERMINATOR = b"\r\n\r\n"


class DeliveryFailed(Exception):
    """Raised when an attempt failed, perhaps after the request was sent.

    The message states the reason, for the owner of the webhook.
    """


class WebhookSender:
    """Sends requests. It connects to the same address that it checked."""

    def __init__(
        self,
        policy: AddressPolicy,
        now: Now,
        resolve: ResolveHost = resolve_host,
        timeout_seconds: float = TIMEOUT_SECONDS,
    ) -> None:
        self._policy, self._now, self._lookups = policy, now, HostLookups(resolve)
        self._timeout_seconds = timeout_seconds

    async def send(self, tenant_id: int, url: str, headers: Mapping[str, str], body: bytes) -> AttemptResult:
        """POST a body for a tenant and return the result. It raises nothing but CancelledError."""
        started = monotonic_seconds()
        status, error, retry_after = None, None, None
        try:
            async with asyncio.timeout(self._timeout_seconds):
                status, fields = await self._send_request(tenant_id, url, headers, body)
            retry_after = parse_retry_after(fields.get("retry-after", ""), self._now())
        except TimeoutError:
            error = f"No response within {self._timeout_seconds:.0f} s."
        except DeliveryFailed as failure:
            error = str(failure)
        except ssl.SSLError as failure:
            error = f"TLS failed: {failure.reason or type(failure).__name__}."
        except (asyncio.IncompleteReadError, ConnectionError) as failure:
            error = f"The connection was closed: {type(failure).__name__}."
        except (OSError, ValueError) as failure:
            error = f"The request failed: {type(failure).__name__}."
        latency_ms = int((monotonic_seconds() - started) * 1000)
        return AttemptResult(status, latency_ms, error, retry_after)

    async def _send_request(
        self, tenant_id: int, url: str, headers: Mapping[str, str], body: bytes
    ) -> tuple[int, Mapping[str, str]]:
        target = parse_url(url)
        if target is None:
            raise DeliveryFailed("The URL is not valid.")
        address = await self._find_address(tenant_id, url, target)
        reader, writer = await asyncio.open_connection(
            address,
            target.port,
            ssl=_get_tls_context() if target.is_encrypted else None,
            server_hostname=target.host if target.is_encrypted else None,
            limit=MAX_RESPONSE_BYTES,
        )
        try:
            writer.write(_format_request(target, headers, body))
            await writer.drain()
            head = await _read_head(reader)
            await _discard_body(reader)
        finally:
            writer.transport.abort()
        return head

    async def _find_address(self, tenant_id: int, url: str, target: DeliveryTarget) -> str:
        ip_address = parse_address(target.host)
        lookup = LookupKey(tenant_id, target.host, target.port)
        address_texts = [str(ip_address)] if ip_address else await self._lookups.find_addresses(lookup)
        addresses = [address for text in address_texts if (address := parse_address(text)) is not None]
        if not addresses:
            raise DeliveryFailed("The host name has no address.")
        if not all(is_permitted(address, url, self._policy) for address in addresses):
            raise DeliveryFailed("The host resolves to an address that is not public; use a public one.")
        return str(addresses[0])


@cache
def _get_tls_context() -> ssl.SSLContext:
    return ssl.create_default_context()


def _format_request(target: DeliveryTarget, headers: Mapping[str, str], body: bytes) -> bytes:
    lines = [f"POST {target.path} HTTP/1.1", f"Host: {target.host_header}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    lines += [f"Content-Length: {len(body)}", "Connection: close", "", ""]
    return "\r\n".join(lines).encode("ascii") + body


async def _read_head(reader: asyncio.StreamReader) -> tuple[int, Mapping[str, str]]:
    for _ in range(_MAX_INFORMATIONAL_RESPONSES):
        try:
            head = await reader.readuntil(_HEAD_TERMINATOR)
        except asyncio.LimitOverrunError:
            raise DeliveryFailed("The headers of the response are too large.") from None
        status, fields = _parse_head(head)
        if status >= 200:  # others are informational responses
            return status, fields
    raise DeliveryFailed("The endpoint sent only informational responses.")


def _parse_head(head: bytes) -> tuple[int, Mapping[str, str]]:
    first, *lines = head.decode("latin-1").split("\r\n")
    version, _, status_and_reason = first.partition(" ")
    code = status_and_reason[:3]
    if not version.startswith("HTTP/1.") or not (code.isascii() and code.isdigit() and len(code) == 3):
        raise DeliveryFailed("The response is not HTTP.")
    pairs = (line.partition(":") for line in lines if ":" in line)
    return int(code), {name.strip().lower(): value.strip() for name, _, value in pairs}


async def _discard_body(reader: asyncio.StreamReader) -> None:
    with suppress(TimeoutError, OSError):
        async with asyncio.timeout(_DRAIN_SECONDS):
            remaining_bytes = MAX_RESPONSE_BYTES
            while remaining_bytes > 0 and (chunk := await reader.read(remaining_bytes)):
                remaining_bytes -= len(chunk)
