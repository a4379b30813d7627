"""Wake the sessions of other processes by LISTEN and NOTIFY of PostgreSQL.

SQLite has no notifications. There, a session finds a request of another process at its next poll.
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
_STOP_CHECK_SECONDS = 0.5  # between two checks whether the channel was closed
_RETRY_SECONDS = 1.0
_LOG = logging.getLogger(__name__)


class WakeChannel:
    """Notifies other processes of committed requests, and wakes the sessions of this process for theirs."""

    def __init__(self, engine: Engine, notifier: BrokerRequestNotifier) -> None:
        self._engine, self._notifier = engine, notifier
        self._name = secrets.token_hex(8)  # of this process, which ignores its own notifications
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
        event = self._notifier.listen_as_relay()
        while not self._stop.is_set():
            if not event.wait(_STOP_CHECK_SECONDS):
                continue
            event.clear()
            try:
                with unit_of_work(self._engine) as connection:
                    connection.execute(
                        text("SELECT pg_notify(:channel, :name)"), {"channel": CHANNEL, "name": self._name}
                    )
            except SQLAlchemyError as error:  # the other processes find the request at their next poll
                _LOG.warning("other processes were not woken: %s", format_reason(error))
        self._notifier.stop_listening(event)

    def _receive_all(self) -> None:
        while not self._stop.is_set():
            try:
                self._receive()
            except Exception as error:  # noqa: BLE001  # the driver's errors; the thread must go on
                _LOG.warning(
                    "the notifications of other processes are not received: %s", type(error).__name__
                )
                self._stop.wait(_RETRY_SECONDS)
            finally:
                self.is_listening.clear()

    def _receive(self) -> None:
        pooled = self._engine.raw_connection()
        connection: Any = pooled.dbapi_connection
        pooled.detach()  # the thread keeps the connection, so the pool must not count it
        try:
            connection.rollback()
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute(f"LISTEN {CHANNEL}")
            self.is_listening.set()
            while not self._stop.is_set():
                if select.select([connection], [], [], _STOP_CHECK_SECONDS)[0]:
                    self._read_notices(connection)
        finally:
            connection.close()

    def _read_notices(self, connection: Any) -> None:
        connection.poll()
        names = {notice.payload for notice in connection.notifies}
        connection.notifies.clear()
        if names - {self._name}:
            self._notifier.wake()
