"""Look up the addresses of hosts. The slow name servers of a tenant delay only that tenant.

If as many tenants as LOOKUP_THREADS / MAX_TENANT_LOOKUPS have slow name servers at once, all tenants wait.
A look-up runs in a thread that cannot be stopped. It counts until the thread is done, even if the request
that needed it was given up long before.
"""

import asyncio
import socket
from collections import defaultdict
from collections.abc import Awaitable, Callable
from typing import NamedTuple

LOOKUP_THREADS = 64  # per process
MAX_TENANT_LOOKUPS = 8  # at the same time

ResolveHost = Callable[[str, int], Awaitable[list[str]]]


class LookupKey(NamedTuple):
    """The host and port of a look-up, and the tenant that needs it."""

    tenant_id: int
    host: str
    port: int


async def resolve_host(host: str, port: int) -> list[str]:
    """Return the addresses of a host. Raises OSError."""
    address_records = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(sockaddr[0]) for *_, sockaddr in address_records]


class HostLookups:
    """Looks up hosts, each once at a time, and a few per tenant."""

    def __init__(self, resolve: ResolveHost = resolve_host, limit: int = MAX_TENANT_LOOKUPS) -> None:
        self._resolve = resolve
        self._slots: defaultdict[int, asyncio.Semaphore] = defaultdict(lambda: asyncio.Semaphore(limit))
        self._running_lookups: dict[LookupKey, asyncio.Task[list[str]]] = {}

    async def find_addresses(self, key: LookupKey) -> list[str]:
        """Return the addresses of a host. Raises OSError."""
        lookup = self._running_lookups.get(key)
        if lookup is None:
            lookup = asyncio.create_task(self._find_addresses(key))
            self._running_lookups[key] = lookup
            lookup.add_done_callback(lambda future: self._remove_lookup(key, future))
        return await asyncio.shield(lookup)

    async def _find_addresses(self, key: LookupKey) -> list[str]:
        async with self._slots[key.tenant_id]:
            return await self._resolve(key.host, key.port)

    def _remove_lookup(self, key: LookupKey, lookup: asyncio.Task[list[str]]) -> None:
        del self._running_lookups[key]
        if not lookup.cancelled():
            lookup.exception()  # its caller may have given up
