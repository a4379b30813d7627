"""Run the dispatcher in a separate thread, in one process at a time.

A lease in the database decides which process delivers. If that process crashes, another one continues when
the lease has expired; deliveries without a stored result are sent again with the same id.
"""

import asyncio
import logging
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from app.clock import Now, monotonic_seconds
from app.database.failures import format_reason
from app.jobs.service.process_lease import ProcessLease
from app.webhooks.service.dispatcher import POLL_SECONDS, Dispatcher
from app.webhooks.service.host_lookups import LOOKUP_THREADS

LEASE_NAME = "webhook deliveries"
IDLE_SECONDS = 0.5
CLOSE_SECONDS = 3.0
_LOG = logging.getLogger(__name__)


class DeliveryRunner:
    """Delivers events while this process has the lease."""

    def __init__(self, engine: Engine, create_dispatcher: Callable[[], Dispatcher], now: Now) -> None:
        self._create_dispatcher, self._lease = create_dispatcher, ProcessLease(engine, LEASE_NAME, now)
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Start the thread."""
        self._thread = threading.Thread(target=self._run_forever, name="webhook-deliveries", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Finish the running requests within a few seconds, release the lease, and stop the thread."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()

    async def run(self) -> None:
        """Deliver until canceled, as a background task of the API."""
        self.start()
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.to_thread(self.close)

    def _run_forever(self) -> None:
        asyncio.run(self._deliver_forever())

    async def _deliver_forever(self) -> None:
        dns_threads = ThreadPoolExecutor(LOOKUP_THREADS, thread_name_prefix="webhook-dns")
        asyncio.get_running_loop().set_default_executor(dns_threads)
        while not self._stop.is_set():
            try:
                has_lease = self._lease.keep()
            except SQLAlchemyError as error:
                _LOG.warning("webhooks are not delivered: %s", format_reason(error))
                has_lease = False
            if has_lease:
                await self._deliver_events()
            else:
                await asyncio.sleep(IDLE_SECONDS)

    async def _deliver_events(self) -> None:
        """Deliver until the lease is lost or the process stops."""
        dispatcher = self._create_dispatcher()
        started = monotonic_seconds()
        while not self._stop.is_set():
            is_idle = dispatcher.is_idle
            try:
                if not self._lease.keep():
                    break
                await dispatcher.run_cycle()
            except Exception as error:  # noqa: BLE001  # the deliveries must go on after any failure
                _log_failure(error)
                is_idle = True
            if self._lease.is_expired:
                break  # the database did not answer: another process may deliver now
            await asyncio.sleep(IDLE_SECONDS if is_idle else POLL_SECONDS)
        await self._release_lease(dispatcher, started)

    async def _release_lease(self, dispatcher: Dispatcher, started: float) -> None:
        try:
            await dispatcher.close(CLOSE_SECONDS)
            self._lease.release(int((monotonic_seconds() - started) * 1000))
        except SQLAlchemyError as error:
            _log_failure(error)


def _log_failure(error: Exception) -> None:
    if isinstance(error, SQLAlchemyError):
        _LOG.warning("webhooks are not delivered: %s", format_reason(error))
    else:
        _LOG.error("webhooks are not delivered", exc_info=error)
