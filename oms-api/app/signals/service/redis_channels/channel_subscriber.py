"""Receive signals of the pub/sub channel, in one process at a time.

Pub/sub is best effort: a message that is published while nobody listens is lost.
"""

import asyncio
import logging
from contextlib import aclosing
from datetime import timedelta
from typing import Any

from app.clock import Now, monotonic_seconds
from app.database.transactions import Transactions
from app.errors import Unavailable
from app.jobs import queries
from app.signals.rules.redis_messages import CHANNEL
from app.signals.service.redis_channels.intake import SignalIntake

LEASE_NAME = "signal channel"
LEASE = timedelta(seconds=15)
RENEW_SECONDS = 4.0
STANDBY_SECONDS = 1.0
MAX_MESSAGES_PER_BATCH = 100
LISTEN_SECONDS = 1.0
MAX_TRIES = 20  # to store a message while the database is not available
RETRY_SECONDS = 0.25
_LOG = logging.getLogger(__name__)


class ChannelSubscriber:
    """The subscriber of one process. It listens while the process has the lease."""

    def __init__(self, transactions: Transactions, intake: SignalIntake, holder: str, now: Now) -> None:
        self._transactions, self._intake = transactions, intake
        self._holder, self._now = holder, now

    async def listen(self, redis: Any) -> None:
        """Wait for the lease, and receive messages until it is lost. Raises RedisError and Unavailable."""
        if not await self._acquire_lease():
            await redis.ping()
            await asyncio.sleep(STANDBY_SECONDS)
            return
        try:
            async with aclosing(redis.pubsub(ignore_subscribe_messages=True)) as pubsub:
                await pubsub.subscribe(CHANNEL)
                await self._receive_messages(pubsub)
        finally:
            await self._release_lease()

    async def _receive_messages(self, pubsub: Any) -> None:
        renewed_at = monotonic_seconds()
        while True:
            if monotonic_seconds() - renewed_at >= RENEW_SECONDS:
                if not await self._renew_lease():
                    return
                renewed_at = monotonic_seconds()
            messages = await _read_messages(pubsub)
            if messages:
                await self._accept_messages(messages)

    async def _accept_messages(self, messages: list[bytes]) -> None:
        try:
            await self._store_signals(messages)
        except Exception:  # noqa: BLE001  # logged; the other messages must not be lost
            if len(messages) == 1:
                _LOG.exception("a signal of the channel failed")
            else:
                for message in messages:
                    await self._accept_messages([message])

    async def _store_signals(self, messages: list[bytes]) -> None:
        for _ in range(MAX_TRIES):
            try:
                refusals = await self._intake.accept(messages)
            except Unavailable:
                await asyncio.sleep(RETRY_SECONDS)
                continue
            pairs = zip(messages, refusals, strict=True)
            messages = [message for message, refusal in pairs if isinstance(refusal, Unavailable)]
            if not messages:
                return
            await asyncio.sleep(RETRY_SECONDS)
        _LOG.error("%d signals of the channel are lost: they could not be stored", len(messages))

    async def _acquire_lease(self) -> bool:
        now = self._now()
        return await self._transactions.run(
            lambda connection: queries.acquire_lease(
                connection, LEASE_NAME, self._holder, now, now, now + LEASE
            )
        )

    async def _renew_lease(self) -> bool:
        until = self._now() + LEASE
        return await self._transactions.run(
            lambda connection: queries.renew_lease(connection, LEASE_NAME, self._holder, until)
        )

    async def _release_lease(self) -> None:
        now = self._now()
        await self._transactions.run(
            lambda connection: queries.release_lease(connection, LEASE_NAME, self._holder, now, 0, None)
        )


async def _read_messages(pubsub: Any) -> list[bytes]:
    """Return the messages that have arrived, after waiting for the first one."""
    messages: list[bytes] = []
    message = await pubsub.get_message(timeout=LISTEN_SECONDS)
    while message is not None:
        messages.append(message["data"])
        if len(messages) == MAX_MESSAGES_PER_BATCH:
            break
        message = await pubsub.get_message(timeout=0)
    return messages
