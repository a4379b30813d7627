"""Timeouts for statements on PostgreSQL.

libpq waits for a response without a limit, so a server that hangs would block every thread. psycopg2 lets the
process wait itself (its "wait callback"); here that wait has a deadline. With a callback, libpq ignores its
own connect timeout, so that the callback also limits how long a connection may take.
"""

import select
import threading

import psycopg2
from psycopg2 import extensions

CONNECT_TIMEOUT_SECONDS = 3.0
_thread_timeout = threading.local()
_default_seconds = 5.0


class ResponseTimeout(psycopg2.OperationalError):
    """Raised when the server did not respond in time. The connection cannot be used any more."""


def set_statement_timeout(seconds: float) -> None:
    """Set the timeout of PostgreSQL statements in all threads."""
    global _default_seconds  # noqa: PLW0603  # psycopg2 takes one callback for the whole process
    _default_seconds = seconds
    extensions.set_wait_callback(_wait_for_response)


class response_timeout:  # noqa: N801  # used as a statement: `with response_timeout(seconds=60):`
    """Change this thread's timeout in a block, for a scan that is known to take long."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._previous_seconds: float | None = None

    def __enter__(self) -> None:
        """Set the timeout of the block."""
        self._previous_seconds = getattr(_thread_timeout, "seconds", None)
        _thread_timeout.seconds = self._seconds

    def __exit__(self, *_: object) -> None:
        """Restore the previous timeout."""
        if self._previous_seconds is None:
            del _thread_timeout.seconds
        else:
            _thread_timeout.seconds = self._previous_seconds


def _wait_for_response(connection: extensions.connection) -> None:
    poller = None
    is_connecting = connection.status == extensions.STATUS_SETUP
    while (state := connection.poll()) != extensions.POLL_OK:
        if poller is None:
            poller = select.poll()
        event = select.POLLIN if state == extensions.POLL_READ else select.POLLOUT
        poller.register(connection.fileno(), event)
        seconds = getattr(_thread_timeout, "seconds", _default_seconds)
        if is_connecting:
            seconds = min(seconds, CONNECT_TIMEOUT_SECONDS)
        if not poller.poll(seconds * 1000):
            # psycopg2 closes the connection itself when its callback raises. Closing it here would wait for
            # the lock that this statement holds.
            raise ResponseTimeout(f"no answer from the database within {seconds:g} s")
