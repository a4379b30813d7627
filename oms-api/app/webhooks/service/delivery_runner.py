"""Run the dispatcher in a separate thread, in one process at a time.

A lease in the database decides which process delivers. If that process crashes, another one continues when
the lease has expired; deliveries without a stored result are sent again with the same id.
"""

import asyncio
import logging
import os
import secrets
import socket
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from app.clock import Now, monotonic_seconds
from app.database import unit_of_work
from app.database.failures import format_reason
from app.jobs import queries
from app.webhooks.service.dispatcher import POLL_SECONDS, Dispatcher
from app.webhooks.service.host_lookups import LOOKUP_THREADS

LEASE_NAME = "webhook deliveries"
LEASE = timedelta(seconds=15)
RENEW_SECONDS = 4.0
IDLE_SECONDS = 0.5
CLOSE_SECONDS = 3.0
_LOG = logging.getLogger(__name__)


class DeliveryRunner:
    """Delivers events while this process has the lease."""

    def __init__(self, engine: Engine, create_dispatcher: Callable[[], Dispatcher], now: Now) -> None:
        self._engine, self._create_dispatcher, self._now = engine, create_dispatcher, now
        self._holder = f"{socket.gethostname()[:60]}:{os.getpid()}:{secrets.token_hex(4)}"
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
                has_lease = self._acquire_lease()
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
        started = renewed_at = monotonic_seconds()
        while not self._stop.is_set():
            is_idle = dispatcher.is_idle
            try:
                if monotonic_seconds() - renewed_at >= RENEW_SECONDS:
                    if not self._renew_lease():
                        break
                    renewed_at = monotonic_seconds()
                await dispatcher.run_cycle()
            except Exception as error:  # noqa: BLE001  # the deliveries must go on after any failure
                _log_failure(error)
                is_idle = True
            if monotonic_seconds() - renewed_at > LEASE.total_seconds():
                break  # the database did not answer: another process may deliver now
            await asyncio.sleep(IDLE_SECONDS if is_idle else POLL_SECONDS)
        await self._release_lease(dispatcher, started)

    async def _release_lease(self, dispatcher: Dispatcher, started: float) -> None:
        try:
            await dispatcher.close(CLOSE_SECONDS)
            with unit_of_work(self._engine) as connection:
                duration_ms = int((monotonic_seconds() - started) * 1000)
                queries.release_lease(connection, LEASE_NAME, self._holder, self._now(), duration_ms, None)
        except SQLAlchemyError as error:
            _log_failure(error)

    def _acquire_lease(self) -> bool:
        now = self._now()
        with unit_of_work(self._engine) as connection:
            return queries.acquire_lease(connection, LEASE_NAME, self._holder, now, now, now + LEASE)

    def _renew_lease(self) -> bool:
        with unit_of_work(self._engine) as connection:
            return queries.renew_lease(connection, LEASE_NAME, self._holder, self._now() + LEASE)


def _log_failure(error: Exception) -> None:
    if isinstance(error, SQLAlchemyError):
        _LOG.warning("webhooks are not delivered: %s", format_reason(error))
    else:
        _LOG.error("webhooks are not delivered", exc_info=error)
