"""Read signals from the stream as a consumer of its group.

An entry is acknowledged after the commit of its signal and its order. Entries of crashed consumers are
claimed. An entry whose signal is refused goes to the stream of refused messages, with the reason.
"""

import asyncio
import logging
from collections.abc import Sequence
from typing import Any

from redis.exceptions import RedisError, ResponseError

from app.clock import monotonic_seconds
from app.errors import OmsError, Unavailable, Unexpected, WriteRefused
from app.signals.rules.redis_messages import (
    DEAD_LETTER_STREAM,
    GROUP,
    MAX_DEAD_LETTERS,
    MAX_DELIVERIES,
    STREAM,
    StreamEntry,
    is_undeliverable,
    read_entries,
)
from app.signals.service.redis_channels.intake import SignalIntake

MAX_ENTRIES_PER_READ = 100
BLOCK_MILLISECONDS = 1_000
CLAIM_AFTER_MILLISECONDS = 30_000
CLAIM_SECONDS = 5.0
FORGET_AFTER_MILLISECONDS = 3_600_000
RETRY_SECONDS = 1.0
_LOG = logging.getLogger(__name__)


class StreamReader:
    """A consumer of the group, on one connection. `redis` is a client of redis.asyncio."""

    def __init__(self, redis: Any, intake: SignalIntake, consumer: str) -> None:
        self._redis, self._intake, self._consumer = redis, intake, consumer
        self._claimed_at = -CLAIM_SECONDS

    async def create_group(self) -> None:
        """Create the group if it is missing. It starts with the first entry of the stream."""
        try:
            await self._redis.xgroup_create(STREAM, GROUP, id="0", mkstream=True)
        except ResponseError as error:
            if not str(error).startswith("BUSYGROUP"):
                raise

    async def read_once(self) -> None:
        """Claim entries of dead consumers if that is due, and read new ones. Raises RedisError."""
        if monotonic_seconds() - self._claimed_at >= CLAIM_SECONDS:
            await self._claim_entries()
            self._claimed_at = monotonic_seconds()
        streams = await self._redis.xreadgroup(
            GROUP, self._consumer, {STREAM: ">"}, count=MAX_ENTRIES_PER_READ, block=BLOCK_MILLISECONDS
        )
        for _, entries in streams or ():
            await self._handle_entries(read_entries(entries))

    async def _claim_entries(self) -> None:
        start: bytes = b"0-0"
        while True:
            start, entries, *_ = await self._redis.xautoclaim(
                STREAM, GROUP, self._consumer, CLAIM_AFTER_MILLISECONDS, start, MAX_ENTRIES_PER_READ
            )
            await self._handle_entries(read_entries(entries))
            if start == b"0-0":
                break
        for consumer in await self._redis.xinfo_consumers(STREAM, GROUP):
            if not consumer["pending"] and consumer["idle"] > FORGET_AFTER_MILLISECONDS:
                await self._redis.xgroup_delconsumer(STREAM, GROUP, consumer["name"])

    async def _handle_entries(self, entries: Sequence[StreamEntry]) -> None:
        if not entries:
            return
        try:
            await self._store_signals(entries)
        except RedisError:
            raise
        except Exception:  # noqa: BLE001  # logged; the other entries and the next delivery must be tried
            if len(entries) > 1:  # find the entry that fails
                for entry in entries:
                    await self._handle_entries([entry])
                return
            _LOG.exception("a signal of the stream failed")
            await self._handle_failure(entries[0])

    async def _store_signals(self, entries: Sequence[StreamEntry]) -> None:
        """Store the signals of entries with their orders, and acknowledge them.

        While the database is not available, wait: that is not a failure of an entry.
        """
        waiting_entries = list(entries)
        while True:
            try:
                refusals = await self._intake.accept([entry.message for entry in waiting_entries])
            except Unavailable as error:
                _LOG.warning("signals of the stream wait: %s", error.detail)
            else:
                waiting_entries = await self._acknowledge_entries(
                    list(zip(waiting_entries, refusals, strict=True))
                )
            if not waiting_entries:
                return
            await asyncio.sleep(RETRY_SECONDS)

    async def _acknowledge_entries(
        self, results: Sequence[tuple[StreamEntry, OmsError | None]]
    ) -> list[StreamEntry]:
        """Acknowledge stored entries, move refused ones to the dead letters, and return the others."""
        stored_ids = [entry.id for entry, refusal in results if refusal is None]
        if stored_ids:
            await self._redis.xack(STREAM, GROUP, *stored_ids)
        waiting_entries = []
        for entry, refusal in results:
            if isinstance(refusal, (WriteRefused, Unexpected)):
                _LOG.error("a signal of the stream failed: %s", refusal.detail)
                await self._handle_failure(entry)
            elif isinstance(refusal, Unavailable):
                waiting_entries.append(entry)
            elif refusal is not None:
                await self._move_to_dead_letters(entry, describe_refusal(refusal))
        return waiting_entries

    async def _handle_failure(self, entry: StreamEntry) -> None:
        """Leave the entry to be claimed again, unless it was delivered often enough."""
        pending_entries = await self._redis.xpending_range(STREAM, GROUP, entry.id, entry.id, 1)
        if pending_entries and is_undeliverable(pending_entries[0]["times_delivered"]):
            await self._move_to_dead_letters(
                entry, f"The signal failed {MAX_DELIVERIES} times; the log of the service has the error."
            )

    async def _move_to_dead_letters(self, entry: StreamEntry, reason: str) -> None:
        fields = {"data": entry.message, "reason": reason, "entry_id": entry.id}
        async with self._redis.pipeline(transaction=True) as pipeline:
            pipeline.xadd(DEAD_LETTER_STREAM, fields, maxlen=MAX_DEAD_LETTERS, approximate=True)
            pipeline.xack(STREAM, GROUP, entry.id)
            await pipeline.execute()


def describe_refusal(refusal: OmsError) -> str:
    """Return why a signal was refused, with its fields."""
    fields = "; ".join(f"`{error.field}`: {error.message}" for error in refusal.errors)
    return fields or refusal.detail
