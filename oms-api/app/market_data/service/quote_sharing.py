"""Share manual quotes between processes through Redis, so that all of them have each quote at once.

Orders do not depend on it: they match against the stored quotes. Without Redis, the other processes read new
quotes every second.
"""

import asyncio
import logging
import secrets
from collections import deque
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

import orjson

from app.market_data.rules.shared_quotes import parse_quote, serialize_quote
from app.market_data.rules.values import Quote
from app.market_data.service import Market

if TYPE_CHECKING:
    from redis.asyncio import Redis

CHANNEL = "slackoms-quotes"
MAX_WAITING_QUOTES = 10_000
TIMEOUT_SECONDS = 2.0
RETRY_SECONDS = 2.0
PAUSE_SECONDS = 0.02  # in which quotes are collected
_LOG = logging.getLogger(__name__)


class QuoteSharing:
    """Sends the quotes of this process to the others, and receives theirs. For one event loop."""

    def __init__(self, redis_url: str, market: Market) -> None:
        self._url, self._market = redis_url, market
        self._sender = secrets.token_hex(8)
        self._waiting: deque[list[Any]] = deque(maxlen=MAX_WAITING_QUOTES)
        self.is_shared = False

    async def run(self) -> None:
        """Share quotes until canceled."""
        self._market.on_stored = self._collect
        while True:
            redis = self._create_client()
            try:
                await asyncio.gather(self._send(redis), self._receive(redis))
            except Exception as error:  # noqa: BLE001  # the other processes read quotes from the database
                if self.is_shared:
                    _LOG.warning("quotes are not shared: Redis failed (%s)", type(error).__name__)
                self.is_shared = False
            finally:
                await redis.aclose()
            await asyncio.sleep(RETRY_SECONDS)

    def _collect(self, tenant_id: int, quote: Quote) -> None:
        self._waiting.append([tenant_id, *serialize_quote(quote)])

    async def _send(self, redis: "Redis") -> None:
        while True:
            await asyncio.sleep(PAUSE_SECONDS)
            if self._waiting:
                quotes = [self._waiting.popleft() for _ in range(len(self._waiting))]
                await redis.publish(CHANNEL, orjson.dumps([self._sender, quotes]))

    async def _receive(self, redis: "Redis") -> None:
        async with aclosing(redis.pubsub(ignore_subscribe_messages=True)) as pubsub:
            await pubsub.subscribe(CHANNEL)
            self.is_shared = True
            while True:
                message = await pubsub.get_message(timeout=1.0)
                if message is not None:
                    self._apply(message["data"])

    def _apply(self, message: bytes) -> None:
        sender, quotes = orjson.loads(message)
        if sender != self._sender:
            for tenant_id, *values in quotes:
                self._market.apply_shared_quote(tenant_id, parse_quote(values))

    def _create_client(self) -> "Redis":
        # Imported here, since most installations have no Redis and its client imports slowly.
        from redis.asyncio import Redis  # noqa: PLC0415  # loaded only if Redis is used

        return Redis.from_url(
            self._url, socket_timeout=TIMEOUT_SECONDS, socket_connect_timeout=TIMEOUT_SECONDS, protocol=2
        )
