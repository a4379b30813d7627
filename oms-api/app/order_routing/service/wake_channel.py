"""Wake the sessions of other processes by LISTEN and NOTIFY of PostgreSQL.

SQLite has nothing like that: there, a request of another process is found when its session looks next.
"""

import logging
import secrets
import select
import threading
from typing import Any

from sqlalchemy import Engine, text
from sqlalchemy.exc import SQLAlchemyError

from app.database import unit_of_work
from app.database.failures import format_reason
from app.orders.service.broker_request_notifier import BrokerRequestNotifier

CHANNEL = "slackoms_broker_requests"
_LOOK_SECONDS = 0.5  # between two looks whether the channel was closed
_RETRY_SECONDS = 1.0
_LOG = logging.getLogger(__name__)


class WakeChannel:
    """Tells other processes of committed requests, and wakes the sessions of this one for theirs."""

    def __init__(self, engine: Engine, signal: BrokerRequestNotifier) -> None:
        self._engine, self._signal = engine, signal
        self._name = secrets.token_hex(8)  # of this process, which needs no notice of its own
        self._stop = threading.Event()
        self.is_listening = threading.Event()
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        """Start the threads. On SQLite there are none."""
        if self._engine.dialect.name != "postgresql":
            return
        for work, name in ((self._send_all, "broker-notify"), (self._receive_all, "broker-listen")):
            thread = threading.Thread(target=work, name=name, daemon=True)
            self._threads.append(thread)
            thread.start()

    def close(self) -> None:
        """Stop the threads."""
        self._stop.set()
        for thread in self._threads:
            thread.join(5.0)

    def _send_all(self) -> None:
        event = self._signal.listen_as_relay()
        while not self._stop.is_set():
            if not event.wait(_LOOK_SECONDS):
                continue
            event.clear()
            try:
                with unit_of_work(self._engine) as connection:
                    connection.execute(
                        text("SELECT pg_notify(:channel, :name)"), {"channel": CHANNEL, "name": self._name}
                    )
            except SQLAlchemyError as error:  # the others find the request when they look next
                _LOG.warning("other processes were not woken: %s", format_reason(error))
        self._signal.stop_listening(event)

    def _receive_all(self) -> None:
        while not self._stop.is_set():
            try:
                self._receive()
            except Exception as error:  # noqa: BLE001  # the driver's errors; the thread must go on
                _LOG.warning("requests of other processes are not heard: %s", type(error).__name__)
                self._stop.wait(_RETRY_SECONDS)
            finally:
                self.is_listening.clear()

    def _receive(self) -> None:
        pooled = self._engine.raw_connection()
        connection: Any = pooled.dbapi_connection
        pooled.detach()  # it is kept for long, so the pool must not count it
        try:
            connection.rollback()
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute(f"LISTEN {CHANNEL}")
            self.is_listening.set()
            while not self._stop.is_set():
                if select.select([connection], [], [], _LOOK_SECONDS)[0]:
                    self._read_notices(connection)
        finally:
            connection.close()

    def _read_notices(self, connection: Any) -> None:
        connection.poll()
        names = {notice.payload for notice in connection.notifies}
        connection.notifies.clear()
        if names - {self._name}:
            self._signal.wake()
