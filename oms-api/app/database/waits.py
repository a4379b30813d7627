"""Bounded waits for PostgreSQL.

libpq waits for an answer for ever: a server that is frozen, not dead, would hold every thread. psycopg2 lets
the process wait itself (its "wait callback"), and here that wait has a deadline.
"""

import select
import threading

import psycopg2
from psycopg2 import extensions

_patience = threading.local()
_default_seconds = 5.0


class AnswerOverdue(psycopg2.OperationalError):
    """The server did not answer in time; the connection is of no more use."""


def install(seconds: float) -> None:
    """Give up on a statement that PostgreSQL has not answered within `seconds`, in all threads."""
    global _default_seconds  # noqa: PLW0603  # psycopg2 takes one callback for the whole process
    _default_seconds = seconds
    extensions.set_wait_callback(_wait)


class patience:  # noqa: N801  # used as a statement: `with patience(seconds=60):`
    """Let this thread wait longer (or shorter) than usual, for a scan that is known to take its time."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._before: float | None = None

    def __enter__(self) -> None:
        """Begin the exception."""
        self._before = getattr(_patience, "seconds", None)
        _patience.seconds = self._seconds

    def __exit__(self, *_: object) -> None:
        """Return to the usual patience."""
        if self._before is None:
            del _patience.seconds
        else:
            _patience.seconds = self._before


def _wait(connection: extensions.connection) -> None:
    poller = None
    while (state := connection.poll()) != extensions.POLL_OK:
        if poller is None:
            poller = select.poll()
        event = select.POLLIN if state == extensions.POLL_READ else select.POLLOUT
        poller.register(connection.fileno(), event)
        seconds = getattr(_patience, "seconds", _default_seconds)
        if not poller.poll(seconds * 1000):
            # psycopg2 closes the connection by itself when its callback raises; doing so here would wait for
            # the lock that this very statement holds.
            raise AnswerOverdue(f"no answer from the database within {seconds:g} s")
