"""Follows the outbox: one query of its end for all followers of a tenant, and pages of final events."""

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from app.database import Readers, set_tenant_scope
from app.errors import Unavailable
from app.events import queries
from app.events.queries import EventFilter, StoredEvent
from app.events.rules import Horizon, OutboxState, advance_horizon
from app.rate_limit import SlotLimits, Slots

POLL_SECONDS = 0.2
IDLE_SECONDS = 1.0  # after this time without an event, a follower gets an empty page
PAGE_SIZE = 500
MAX_FOLLOWERS = 500
MAX_FOLLOWERS_OF_TENANT = 50
MAX_FOLLOWERS_OF_KEY = 20
_MAX_ATTEMPTS = 100
_RETRY_SECONDS = 0.02
_LOG = logging.getLogger(__name__)


@dataclass(slots=True)
class _Watch:
    """The known events of a tenant, and its followers."""

    horizon: Horizon = field(default_factory=Horizon)
    follower_count: int = 0
    advanced: asyncio.Event = field(default_factory=asyncio.Event)
    poll_task: asyncio.Task[None] | None = None


class EventFeed:
    """The feed of a process, for one event loop."""

    def __init__(self, readers: Readers, pause: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        self._readers = readers
        self._pause = pause
        self._watches: dict[int, _Watch] = {}
        limits = SlotLimits(MAX_FOLLOWERS_OF_KEY, MAX_FOLLOWERS_OF_TENANT, MAX_FOLLOWERS)
        self._slots = Slots("streams", limits)

    @property
    def follower_count(self) -> int:
        """Return the number of followers."""
        return self._slots.used

    async def get_horizon(self, tenant_id: int) -> int:
        """Return the number up to which the tenant's events are final.

        It covers all that was committed before the call. It is lower while a transaction takes long. Raises
        Unavailable if no number is known.
        """
        horizon = self._watches[tenant_id].horizon if tenant_id in self._watches else Horizon()
        required_id = None
        for _ in range(_MAX_ATTEMPTS):
            state = await self._read_state(tenant_id, horizon.safe)
            if state is None:
                return horizon.safe
            required_id = required_id or state.highest
            horizon = advance_horizon(horizon, state)
            if horizon.safe >= required_id:
                return horizon.safe
            await self._pause(_RETRY_SECONDS)
        if not horizon.safe:
            raise Unavailable("A transaction takes too long; try again in a moment.")
        return horizon.safe

    async def _read_state(self, tenant_id: int, known_number: int) -> OutboxState | None:
        return await self._readers.run_single(
            lambda connection: queries.read_outbox_state(
                set_tenant_scope(connection, [tenant_id]), tenant_id, known_number
            )
        )

    async def follow(
        self, tenant_id: int, filters: EventFilter, after: int | None, key: str | None = ""
    ) -> AsyncGenerator[list[StoredEvent], None]:
        """Yield pages of events after the number `after`, None for from now on, as they become final.

        The page is empty after IDLE_SECONDS without events. Raises TooMany if `key` or the tenant has too
        many followers. Without a key, the caller serves many clients, which it limits itself.
        """
        async with self._open_watch(tenant_id, key) as watch:
            last_number = await self.get_horizon(tenant_id) if after is None else after
            yield []
            while True:
                if watch.horizon.safe <= last_number:
                    await _wait_for_events(watch.advanced)
                horizon = watch.horizon.safe
                page = await self._read_page(tenant_id, filters, last_number, horizon)
                last_number = page[-1].number if len(page) == PAGE_SIZE else max(last_number, horizon)
                yield page

    async def _read_page(
        self, tenant_id: int, filters: EventFilter, after: int, horizon: int
    ) -> list[StoredEvent]:
        if horizon <= after:
            return []
        return await self._readers.run_single(
            lambda connection: queries.list_events_after(
                set_tenant_scope(connection, [tenant_id]), tenant_id, filters, after, horizon, PAGE_SIZE
            )
        )

    @asynccontextmanager
    async def _open_watch(self, tenant_id: int, key: str | None) -> AsyncIterator[_Watch]:
        release = _release_nothing if key is None else self._slots.take(tenant_id, key)
        watch = self._watches.get(tenant_id)
        if watch is None:
            watch = self._watches[tenant_id] = _Watch()
            watch.poll_task = asyncio.create_task(self._poll(tenant_id, watch))
        watch.follower_count += 1
        try:
            yield watch
        finally:
            watch.follower_count -= 1
            release()
            if not watch.follower_count and watch.poll_task:
                watch.poll_task.cancel()
                del self._watches[tenant_id]

    async def _poll(self, tenant_id: int, watch: _Watch) -> None:
        while True:
            before = watch.horizon.safe
            try:
                state = await self._read_state(tenant_id, before)
            except Exception:  # noqa: BLE001  # the task's edge: whatever it was, the next look may see more
                _LOG.warning("the end of the events was not seen", exc_info=True)
                state = None
            if state is not None:
                watch.horizon = advance_horizon(watch.horizon, state)
            if watch.horizon.safe > before:
                watch.advanced.set()
                watch.advanced = asyncio.Event()
            await self._pause(POLL_SECONDS)


def _release_nothing() -> None:
    """Release no slot."""


async def _wait_for_events(advanced: asyncio.Event) -> None:
    try:
        async with asyncio.timeout(IDLE_SECONDS):
            await advanced.wait()
    except TimeoutError:
        return
