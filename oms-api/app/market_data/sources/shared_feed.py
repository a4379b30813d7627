"""The feed of a price source that several processes share over Redis. One process reads it for all.

A lease in Redis says which process owns the feed. The owner follows the symbols of all processes. It
publishes each new quote, and the time of the last heartbeat. Redis also keeps the last quotes, so that a
process that starts has them at once. If the owner dies, another process takes over when the lease ends. A
process that cannot reach Redis reads the feed itself.
"""

import logging
import secrets
from collections.abc import Sequence
from datetime import datetime
from threading import Event, Lock, Thread
from typing import TYPE_CHECKING, Any, NamedTuple

import orjson

from app.clock import EPOCH, monotonic_seconds
from app.market_data.rules.bars import Interval
from app.market_data.rules.shared_quotes import choose_newer, parse_quote, serialize_quote
from app.market_data.rules.values import Bar, Quote
from app.market_data.sources.protocol import PriceSource
from app.timestamps import format_timestamp

if TYPE_CHECKING:
    from redis import Redis
    from redis.client import PubSub

LEASE_SECONDS = 5.0
RENEW_SECONDS = 1.0
PUBLISH_SECONDS = 0.05
MEMBER_SECONDS = 15  # after which the symbols of a process that has ended are not followed any more
KEPT_SECONDS = 86_400  # how long last quotes are kept after the last one
TIMEOUT_SECONDS = 2.0
_RENEW = """
if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('PEXPIRE', KEYS[1], ARGV[2]) end
return redis.call('SET', KEYS[1], ARGV[1], 'NX', 'PX', ARGV[2]) and 1 or 0
"""
_LOG = logging.getLogger(__name__)


class _Keys(NamedTuple):
    """The names in Redis. Braces keep them on one node of a cluster."""

    owner: str
    channel: str
    last: str
    heard: str
    members: str

    @classmethod
    def from_source(cls, source: str) -> "_Keys":
        return cls(*(f"{{slackoms-feed-{source}}}:{name}" for name in cls._fields))


class SharedFeed:
    """Implements `PriceSource` over `source`. It starts when it is first used."""

    def __init__(self, redis_url: str, source: PriceSource) -> None:
        self._url, self._source, self._keys = redis_url, source, _Keys.from_source(source.name)
        self._id = secrets.token_hex(8)
        self._followed_symbols: frozenset[str] = frozenset()
        self._quotes: dict[str, Quote] = {}  # as the owner sent them
        self._published: dict[str, Quote] = {}
        self._heard_at = self._published_heard_at = EPOCH
        self._renewed_at = float("-inf")
        self._stop, self._lock = Event(), Lock()
        self._thread: Thread | None = None
        self._followed: frozenset[str] = frozenset()  # for all processes
        self.is_connected = self.is_owner = False

    @property
    def name(self) -> str:
        """The name of the price source."""
        return self._source.name

    def get_quote(self, symbol: str, at: datetime) -> Quote | None:
        """Return the latest quote that the owner sent or this process read, or None."""
        self._start()
        return choose_newer(self._quotes.get(symbol), self._source.get_quote(symbol, at))

    def get_last_heartbeat(self, at: datetime) -> datetime | None:
        """Return when the feed sent something last, to the owner or to this process."""
        self._start()
        return max(self._heard_at, self._source.get_last_heartbeat(at) or EPOCH)

    def get_bars(
        self, symbol: str, interval: Interval, start: datetime, end: datetime
    ) -> Sequence[Bar] | None:
        """Return the bars of the price source, which each process reads itself when they are requested."""
        return self._source.get_bars(symbol, interval, start, end)

    def follow(self, symbols: frozenset[str]) -> None:
        """Ask the owner of the feed for the quotes of these symbols. Without Redis, read them here."""
        self._followed_symbols = symbols
        self._renewed_at = float("-inf")
        if not self.is_connected:
            self._source.follow(symbols)
        self._start()

    def close(self) -> None:
        """Stop the thread. Another process may own the feed at once."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()

    def _start(self) -> None:
        if self._thread is not None:
            return
        with self._lock:
            if self._thread is None and not self._stop.is_set():
                self._thread = Thread(target=self._run, name="price-feed", daemon=True)
                self._thread.start()

    def _run(self) -> None:
        # Imported here, since most installations have no Redis and its client imports slowly.
        from redis import Redis  # noqa: PLC0415  # loaded only if Redis is used

        while not self._stop.is_set():
            redis = Redis.from_url(
                self._url, socket_timeout=TIMEOUT_SECONDS, socket_connect_timeout=TIMEOUT_SECONDS, protocol=2
            )
            try:
                self._run_sharing(redis)
            except Exception as error:  # noqa: BLE001  # this process reads the feed itself
                self._leave(type(error).__name__)
            finally:
                redis.close()
            self._stop.wait(RENEW_SECONDS)

    def _run_sharing(self, redis: "Redis") -> None:
        """Share quotes until this process stops. Raises RedisError."""
        pubsub: PubSub = redis.pubsub(ignore_subscribe_messages=True)  # type: ignore[no-untyped-call]
        with pubsub:
            pubsub.subscribe(self._keys.channel)
            self._read_last(redis)
            self._renewed_at, self._published = float("-inf"), {}
            while not self._stop.is_set():
                if monotonic_seconds() - self._renewed_at > RENEW_SECONDS:
                    self._renewed_at = monotonic_seconds()
                    self._renew(redis)
                self.is_connected = True
                if self.is_owner:
                    self._publish(redis)
                self._receive(pubsub)
            if self.is_owner:
                redis.delete(self._keys.owner)

    def _read_last(self, redis: "Redis") -> None:
        stored: Any = redis.hgetall(self._keys.last)
        heartbeat: Any = redis.get(self._keys.heard)
        if heartbeat is not None:
            self._apply(heartbeat.decode(), [orjson.loads(text) for text in stored.values()])

    def _renew(self, redis: "Redis") -> None:
        """Store the symbols that this process wants, and take or extend the lease.

        The owner follows all symbols.
        """
        member = f"{self._keys.members}:{self._id}"
        with redis.pipeline(transaction=False) as pipeline:
            pipeline.set(member, orjson.dumps(sorted(self._followed_symbols)), ex=MEMBER_SECONDS)
            pipeline.sadd(self._keys.members, self._id)
            pipeline.eval(_RENEW, 1, self._keys.owner, self._id, round(LEASE_SECONDS * 1000))
            is_owner = bool(pipeline.execute()[-1])
        if is_owner != self.is_owner:
            _LOG.info("this process %s the price feed for all", "reads" if is_owner else "no longer reads")
        self.is_owner = is_owner
        self._followed = self._list_wanted(redis) if is_owner else frozenset()
        self._source.follow(self._followed)

    def _list_wanted(self, redis: "Redis") -> frozenset[str]:
        members: Any = redis.smembers(self._keys.members)
        ids = sorted(member.decode() for member in members)
        stored: Any = redis.mget([f"{self._keys.members}:{member}" for member in ids])
        ended_members = [member for member, text in zip(ids, stored, strict=True) if text is None]
        if ended_members:
            redis.srem(self._keys.members, *ended_members)
        return frozenset[str]().union(*(orjson.loads(text) for text in stored if text is not None))

    def _publish(self, redis: "Redis") -> None:
        """Send the quotes that are new, and the heartbeat if it is."""
        quotes = {symbol: self._source.get_quote(symbol, EPOCH) for symbol in self._followed}
        current = {symbol: quote for symbol, quote in quotes.items() if quote is not None}
        new = {symbol: quote for symbol, quote in current.items() if self._published.get(symbol) != quote}
        heard_at = self._source.get_last_heartbeat(EPOCH) or EPOCH
        if not new and heard_at == self._published_heard_at:
            return
        heartbeat, serialized = format_timestamp(heard_at), [serialize_quote(quote) for quote in new.values()]
        with redis.pipeline(transaction=False) as pipeline:
            pipeline.publish(self._keys.channel, orjson.dumps([heartbeat, serialized]))
            pipeline.set(self._keys.heard, heartbeat, ex=KEPT_SECONDS)
            if serialized:
                pipeline.hset(
                    self._keys.last, mapping={values[0]: orjson.dumps(values) for values in serialized}
                )
                pipeline.expire(self._keys.last, KEPT_SECONDS)
            pipeline.execute()
        self._published, self._published_heard_at = current, heard_at

    def _receive(self, pubsub: "PubSub") -> None:
        """Wait for a message of the owner for a moment, and apply it."""
        message: Any = pubsub.get_message(timeout=PUBLISH_SECONDS)
        if message is not None:
            self._apply(*orjson.loads(message["data"]))

    def _apply(self, heartbeat: str, serialized: list[list[Any]]) -> None:
        self._heard_at = max(self._heard_at, datetime.fromisoformat(heartbeat))
        for values in serialized:
            quote = parse_quote(values)
            self._quotes[quote.symbol] = choose_newer(self._quotes.get(quote.symbol), quote) or quote

    def _leave(self, reason: str) -> None:
        """Read the feed in this process, because Redis does not answer."""
        if self.is_connected:
            _LOG.warning("this process reads the price feed itself: Redis failed (%s)", reason)
        self.is_connected = self.is_owner = False
        self._source.follow(self._followed_symbols)
