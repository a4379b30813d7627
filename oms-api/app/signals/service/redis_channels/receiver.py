"""The background task of a process that receives signals over Redis, and connects again after a failure."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from redis.exceptions import RedisError

from app.clock import Now
from app.database.transactions import Transactions
from app.errors import OmsError
from app.jobs.service.process_lease import build_holder_name
from app.signals.rules.redis_messages import compute_pause
from app.signals.service.redis_channels.channel_state import ChannelState
from app.signals.service.redis_channels.channel_subscriber import ChannelSubscriber
from app.signals.service.redis_channels.channel_watch import ChannelWatch
from app.signals.service.redis_channels.intake import SignalIntake
from app.signals.service.redis_channels.stream_reader import StreamReader

if TYPE_CHECKING:
    from redis.asyncio import Redis

TIMEOUT_SECONDS = 5.0  # above the time for which a read waits
CONNECT_SECONDS = 1.0
_LOG = logging.getLogger(__name__)


class SignalReceiver:
    """Reads the stream, subscribes to the channel, and watches both."""

    def __init__(
        self, redis_url: str, intake: SignalIntake, state: ChannelState, watch: ChannelWatch,
        transactions: Transactions, now: Now,
    ) -> None:  # fmt: skip
        self._url, self._intake, self._state, self._watch = redis_url, intake, state, watch
        self._holder = build_holder_name()
        self._subscriber = ChannelSubscriber(transactions, intake, self._holder, now)

    async def run(self) -> None:
        """Receive signals until canceled."""
        await asyncio.gather(
            self._connect_repeatedly("stream", self._read_stream),
            self._connect_repeatedly("channel", self._receive_signals),
            self._watch.run(),
        )

    async def _connect_repeatedly(
        self, name: str, work: "Callable[[Redis, Callable[[], None]], Awaitable[None]]"
    ) -> None:
        failures = 0

        def report_success() -> None:
            nonlocal failures
            failures = 0
            if self._state.set_problem(name, None):
                _LOG.info("signals arrive over Redis again", extra={"from": name})

        while True:
            redis = self._create_client()
            try:
                await work(redis, report_success)
            except OmsError as error:
                _LOG.warning("signals are not received: %s", error.detail)
            except (RedisError, OSError, TimeoutError) as error:
                if self._state.set_problem(name, type(error).__name__):
                    _LOG.warning("signals are not received: Redis failed (%s)", type(error).__name__)
            except Exception:  # noqa: BLE001  # the task must survive any error and connect again
                _LOG.exception("signals are not received")
            finally:
                await redis.aclose()
            await asyncio.sleep(compute_pause(failures))
            failures += 1

    async def _read_stream(self, redis: "Redis", report_success: Callable[[], None]) -> None:
        reader = StreamReader(redis, self._intake, self._holder)
        await reader.create_group()
        while True:
            report_success()
            await reader.read_once()

    async def _receive_signals(self, redis: "Redis", report_success: Callable[[], None]) -> None:
        await redis.ping()
        while True:
            report_success()
            await self._subscriber.listen(redis)

    def _create_client(self) -> Any:
        # Imported here, since most installations have no Redis and its client imports slowly.
        from redis.asyncio import Redis  # noqa: PLC0415  # Redis is optional
        from redis.asyncio.retry import Retry  # noqa: PLC0415  # Redis is optional
        from redis.backoff import NoBackoff  # noqa: PLC0415  # Redis is optional

        return Redis.from_url(
            self._url,
            socket_timeout=TIMEOUT_SECONDS,
            socket_connect_timeout=CONNECT_SECONDS,
            retry=Retry(NoBackoff(), 0),
            protocol=2,
        )
