"""Fan out the events of tenants: one reader of the outbox per tenant, and each event is serialized once."""

import asyncio
import logging
from contextlib import suppress

from app.database import Readers, set_tenant_scope
from app.errors import OmsError
from app.events.queries import EventFilter, StoredEvent, list_events_after
from app.events.rules import EVENT_ID_KIND, is_requested
from app.events.service.feed import EventFeed
from app.http.opaque_ids import OpaqueIds
from app.streams.rules.frames import build_event_frame
from app.streams.rules.messages import EVENT_TYPES, ChannelKind
from app.streams.service.outbox import Outbox
from app.timestamps import format_timestamp

BACKLOG_PAGE = 200
RETRY_SECONDS = 1.0
DRAIN_SECONDS = 1.0  # for which the events of a tenant wait for its slow clients
_LOG = logging.getLogger(__name__)


class EventSubscription:
    """A channel of one connection. It has got all events up to the number `position`."""

    def __init__(self, outbox: Outbox, kind: ChannelKind, position: int) -> None:
        self.outbox, self.kind, self.position = outbox, kind, position


class TenantEvents:
    """The events of one tenant as they become final, for the subscriptions that are up to date.

    All events up to `position` were sent to them.
    """

    def __init__(self, feed: EventFeed, readers: Readers, opaque_ids: OpaqueIds, tenant_id: int) -> None:
        self._feed, self._readers, self._opaque_ids, self._tenant_id = feed, readers, opaque_ids, tenant_id
        self._live: dict[ChannelKind, set[EventSubscription]] = {}
        self._task: asyncio.Task[None] | None = None
        self.position = 0
        self.users = 0  # subscriptions, and those that are being made

    async def start(self) -> None:
        """Start to follow the events from now on. Raises Unavailable."""
        if self._task is None:
            self.position = max(self.position, await self._feed.get_horizon(self._tenant_id))
        if self._task is None:
            self._task = asyncio.create_task(self._follow_events())

    def stop(self) -> None:
        """Stop to follow the events."""
        if self._task is not None:
            self._task.cancel()
            self._task = None

    async def join(self, subscription: EventSubscription) -> None:
        """Send a subscription its missed events, then all later events. No event is skipped or doubled."""
        while subscription.position < self.position and not subscription.outbox.closed.done():
            await self._send_backlog(subscription, self.position)
        # No event is sent between the check above and this line.
        self._live.setdefault(subscription.kind, set()).add(subscription)

    def leave(self, subscription: EventSubscription) -> None:
        """Send a subscription no more events."""
        self._live.get(subscription.kind, set()).discard(subscription)

    async def _send_backlog(self, subscription: EventSubscription, until: int) -> None:
        filters = EventFilter(EVENT_TYPES[subscription.kind])
        page = await self._readers.run_single(
            lambda connection: list_events_after(
                set_tenant_scope(connection, [self._tenant_id]), self._tenant_id, filters,
                subscription.position, until, BACKLOG_PAGE,
            )
        )  # fmt: skip
        for event in page:
            subscription.outbox.put(self._build_frame(subscription.kind, event))
        subscription.position = page[-1].number if len(page) == BACKLOG_PAGE else until
        await subscription.outbox.drain()

    async def _follow_events(self) -> None:
        while True:
            try:
                async for page in self._feed.follow(self._tenant_id, EventFilter(), self.position, None):
                    for event in page:
                        self._send_event(event)
                    await self._wait_for_clients()
            except OmsError as error:
                _LOG.warning("events are read again: %s", error.detail)
            except Exception:  # noqa: BLE001  # the task must survive any error and read again
                _LOG.exception("events are read again")
            await asyncio.sleep(RETRY_SECONDS)

    def _send_event(self, event: StoredEvent) -> None:
        for kind, subscriptions in self._live.items():
            if subscriptions and is_requested(event.type, EVENT_TYPES[kind]):
                frame = self._build_frame(kind, event)
                for subscription in subscriptions:
                    if event.number > subscription.position:
                        subscription.outbox.put(frame)
                        subscription.position = event.number
        self.position = event.number

    async def _wait_for_clients(self) -> None:
        """Give clients that have much to read a moment before the next page."""
        with suppress(TimeoutError):
            async with asyncio.timeout(DRAIN_SECONDS):
                for subscriptions in list(self._live.values()):
                    for subscription in list(subscriptions):
                        await subscription.outbox.drain()

    def _build_frame(self, kind: ChannelKind, event: StoredEvent) -> str:
        event_id = self._opaque_ids.encode(self._tenant_id, EVENT_ID_KIND, event.number)
        return build_event_frame(
            kind, event_id, event.type, format_timestamp(event.created_at), event.payload
        )


class EventFanout:
    """The events of all tenants that have subscriptions."""

    def __init__(self, feed: EventFeed, readers: Readers, opaque_ids: OpaqueIds) -> None:
        self._feed, self._readers, self._opaque_ids = feed, readers, opaque_ids
        self._tenants: dict[int, TenantEvents] = {}

    async def subscribe(
        self, tenant_id: int, outbox: Outbox, kind: ChannelKind, after: int | None
    ) -> EventSubscription:
        """Send the events of a channel after the number `after`, None: from now on. Raises Unavailable."""
        events = self._tenants.get(tenant_id)
        if events is None:
            events = TenantEvents(self._feed, self._readers, self._opaque_ids, tenant_id)
            self._tenants[tenant_id] = events
        events.users += 1
        try:
            await events.start()
            position = await self._feed.get_horizon(tenant_id) if after is None else after
            subscription = EventSubscription(outbox, kind, position)
            await events.join(subscription)
        except BaseException:
            self._release_events(tenant_id, events)
            raise
        return subscription

    def unsubscribe(self, tenant_id: int, subscription: EventSubscription) -> None:
        """Send no more events to a subscription."""
        events = self._tenants[tenant_id]
        events.leave(subscription)
        self._release_events(tenant_id, events)

    def _release_events(self, tenant_id: int, events: TenantEvents) -> None:
        events.users -= 1
        if not events.users:
            events.stop()
            del self._tenants[tenant_id]
