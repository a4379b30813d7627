"""One connection of the WebSocket, from its authentication to its end."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from app.clock import monotonic_seconds
from app.errors import Unavailable
from app.events.rules import EVENT_ID_KIND
from app.events.service.feed import EventFeed
from app.http.opaque_ids import OpaqueIds
from app.identity.rules.access import Caller, Operation
from app.rate_limit import BucketLimit, OverLimit
from app.streams.errors import CloseCode, MessageRefused, StreamClosed
from app.streams.rules.frames import build_system_frame
from app.streams.rules.messages import (
    EVENT_TYPES,
    Authenticate,
    ChannelKind,
    ClientMessage,
    StreamChannel,
    Subscribe,
    Unsubscribe,
    parse_message,
)
from app.streams.service.event_fanout import EventFanout, EventSubscription
from app.streams.service.outbox import Outbox
from app.streams.service.quote_fanout import QuoteFanout
from app.streams.service.value_fanout import ValueFanout

CHECK_SECONDS = 0.5  # a revoked key loses its connections within a second
MAX_CHANNELS = 1_000  # of a connection
MESSAGES_PER_MINUTE = 600


class Socket(Protocol):
    """A connection."""

    async def receive(self) -> str | None:
        """Return the next message. Return "" for a message that is not text, and None after the end."""

    async def send(self, text: str) -> None:
        """Send a frame, once there is room for it."""


@dataclass(frozen=True, slots=True)
class Fanouts:
    """The sources to which connections subscribe."""

    events: EventFanout
    quotes: QuoteFanout
    values: ValueFanout
    feed: EventFeed
    opaque_ids: OpaqueIds


class Rights(NamedTuple):
    """The caller, and a function that returns its current rights, or None if its key was revoked."""

    caller: Caller
    find_current: Callable[[], Awaitable[Caller | None]]


class StreamSession:
    """The subscriptions of an authenticated connection."""

    def __init__(self, socket: Socket, rights: Rights, fanouts: Fanouts) -> None:
        self._socket, self._rights, self._fanouts = socket, rights, fanouts
        self._caller = rights.caller
        self._outbox = Outbox(socket.send)
        self._events: dict[ChannelKind, EventSubscription] = {}
        self._channels: set[StreamChannel] = set()
        self._limit = BucketLimit("messages", "Too many messages of this connection.", MESSAGES_PER_MINUTE)

    async def serve(self) -> None:
        """Serve the connection until the client leaves. Raises StreamClosed if the service ends it."""
        self._send_reply("authenticated", person=self._caller.person, key=self._caller.name)
        activities = (self._outbox.run(), self._watch_rights(), self._read_messages())
        tasks = [asyncio.create_task(activity) for activity in activities]
        ends: list[asyncio.Future[Any]] = [*tasks, self._outbox.closed]
        try:
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            failures = [task.exception() for task in tasks if task.done()]
            if self._outbox.closed.done():
                raise self._outbox.closed.result()
            for failure in filter(None, failures):
                raise failure
        finally:
            self._outbox.closed.cancel()
            for task in tasks:
                task.cancel()
            self._unsubscribe_all()
            for task in (await asyncio.wait(tasks))[0]:
                _ = (
                    task.cancelled() or task.exception()
                )  # retrieve the exception, so that asyncio does not log it

    async def _read_messages(self) -> None:
        while (text := await self._socket.receive()) is not None:
            try:
                self._limit.take("", monotonic_seconds())
                await self._handle_message(parse_message(text))
            except MessageRefused as error:
                self._send_reply("error", code=error.code, detail=error.detail)
            except OverLimit:
                self._outbox.close(CloseCode.TOO_MANY, self._limit.message)
            except Unavailable as error:
                self._send_reply("error", code="unavailable", detail=error.detail)

    async def _handle_message(self, message: ClientMessage) -> None:
        if isinstance(message, Subscribe):
            await self._subscribe_channels(message)
        elif isinstance(message, Unsubscribe):
            await self._unsubscribe_channels(message)
        elif isinstance(message, Authenticate):
            raise MessageRefused(
                "authenticated", "The connection is authenticated already; open another one."
            )
        else:
            self._send_reply("pong")

    async def _subscribe_channels(self, message: Subscribe) -> None:
        """Subscribe to all channels of a message, or to none of them if the message is refused.

        If the database fails after the first subscription, the others are missing until the client repeats
        the message. Raises Unavailable then.
        """
        for channel in message.channels:
            self._require_right(channel)
        if len(self._channels | set(message.channels)) > MAX_CHANNELS:
            raise MessageRefused("too_many", f"A connection has at most {MAX_CHANNELS} channels.")
        tenant_id, after = self._caller.tenant_id, self._decode_event_id(message.after)
        position = after if after is not None else await self._fanouts.feed.get_horizon(tenant_id)
        names = _group_channel_names(message.channels)
        if ChannelKind.PNL in names:
            missing = await self._fanouts.values.add(
                tenant_id, self._outbox, names[ChannelKind.PNL], self._caller.portfolios
            )
            if missing:
                raise MessageRefused("unknown_channel", f"There is no portfolio {missing[0]!r}.")
        self._channels |= set(message.channels)
        event_id = self._fanouts.opaque_ids.encode(tenant_id, EVENT_ID_KIND, position)
        self._send_reply("subscribed", event_id, channels=[str(channel) for channel in message.channels])
        if ChannelKind.QUOTES in names:
            await self._fanouts.quotes.add(tenant_id, self._outbox, names[ChannelKind.QUOTES])
        for kind in names.keys() & EVENT_TYPES.keys():
            await self._subscribe_events(kind, position, is_resumed=after is not None)

    async def _subscribe_events(self, kind: ChannelKind, position: int, *, is_resumed: bool) -> None:
        """Send the events after a position. An existing subscription continues, unless it is resumed."""
        previous = self._events.get(kind)
        if previous is not None and not is_resumed:
            return
        tenant_id = self._caller.tenant_id
        self._events[kind] = await self._fanouts.events.subscribe(tenant_id, self._outbox, kind, position)
        if previous is not None:
            self._fanouts.events.unsubscribe(tenant_id, previous)

    async def _unsubscribe_channels(self, message: Unsubscribe) -> None:
        tenant_id, names = self._caller.tenant_id, _group_channel_names(message.channels)
        if ChannelKind.QUOTES in names:
            await self._fanouts.quotes.remove(tenant_id, self._outbox, names[ChannelKind.QUOTES])
        self._fanouts.values.remove(self._outbox, names.get(ChannelKind.PNL, ()))
        for kind in names.keys() & self._events.keys():
            self._fanouts.events.unsubscribe(tenant_id, self._events.pop(kind))
        self._channels -= set(message.channels)
        self._send_reply("unsubscribed", channels=[str(channel) for channel in message.channels])

    def _require_right(self, channel: StreamChannel) -> None:
        operation = Operation.READ_EVENTS if channel.kind in EVENT_TYPES else Operation.READ_BOOKS
        if not self._caller.is_allowed(operation):
            raise MessageRefused("forbidden", f"You may not read the channel {channel.kind}.")

    def _decode_event_id(self, text: str | None) -> int | None:
        if text is None:
            return None
        number = self._fanouts.opaque_ids.decode(self._caller.tenant_id, EVENT_ID_KIND, text)
        if number is None:
            raise MessageRefused("event_id", "`after` must be the id of a frame or an event.")
        return number

    async def _watch_rights(self) -> None:
        """Close the connection when its key is revoked, or its caller has other rights than before."""
        while True:
            await asyncio.sleep(CHECK_SECONDS)
            with suppress(Unavailable):
                current = await self._rights.find_current()
                if current is None or _get_rights(current) != _get_rights(self._caller):
                    raise StreamClosed(CloseCode.UNAUTHENTICATED, "The key or the rights have changed.")

    def _send_reply(self, type_: str, position: str | None = None, **fields: object) -> None:
        self._outbox.put(build_system_frame({"type": type_, **fields}, position))

    def _unsubscribe_all(self) -> None:
        for subscription in self._events.values():
            self._fanouts.events.unsubscribe(self._caller.tenant_id, subscription)
        self._fanouts.quotes.unsubscribe_all(self._outbox)
        self._fanouts.values.unsubscribe_all(self._outbox)


def _group_channel_names(channels: tuple[StreamChannel, ...]) -> dict[ChannelKind, list[str]]:
    names: dict[ChannelKind, list[str]] = {}
    for channel in channels:
        names.setdefault(channel.kind, []).append(channel.name)
    return names


def _get_rights(caller: Caller) -> tuple[object, ...]:
    return caller.tenant_id, caller.scopes, caller.portfolios, caller.person
