"""Identifiers: trade ids that sort by time, request ids and random text."""

import logging
import os
import threading
from datetime import datetime

from app.clock import to_milliseconds

_COUNTER_LIMIT = 0xFFFF
_MILLISECOND_DIGITS = slice(1, 14)
_COUNTER_DIGITS = slice(14, 18)
_BYTES_PER_DRAW = 4096  # bytes
MAX_AHEAD_MILLISECONDS = 5_000
_LOG = logging.getLogger(__name__)


class RandomDigits:
    """Random digits of the system, drawn in advance.

    Each system call releases the interpreter's lock. A thread that processes a hundred orders would wait to
    get it back for every id.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._drawn, self._place = "", 0

    def draw_hexadecimal(self, count: int) -> str:
        """Return `count` digits that were never returned before."""
        with self._lock:
            if self._place + count > len(self._drawn):
                self._drawn, self._place = os.urandom(_BYTES_PER_DRAW).hex(), 0
            self._place += count
            return self._drawn[self._place - count : self._place]


_RANDOM = RandomDigits()


class SortableIds:
    """Generates trade ids, and by another prefix ids of other kinds.

    An id is `T`, then 13 digits of milliseconds, 4 of a counter and 8 random ones, all hexadecimal. Ids that
    one process creates for a tenant ascend. With `after` they also ascend past those of other processes, so
    that the order of ids within a portfolio is the order of its sequence numbers. Each tenant has its own
    counter, so that it reveals nothing about other tenants' trades.

    Ids are at most MAX_AHEAD_MILLISECONDS ahead of the clock: after the clock was set back, they restart at
    its time. Only an id that must follow an `after` in the future is in the future too.
    """

    def __init__(self, prefix: str = "T") -> None:
        self._prefix = prefix
        self._lock = threading.Lock()
        self._last: dict[int, tuple[int, int]] = {}

    def generate(self, tenant_id: int, now: datetime, after: str | None = None) -> str:
        """Return an id above all of the tenant's previous ones and, if given, above `after`."""
        moment = to_milliseconds(now)
        with self._lock:
            last = self._last.get(tenant_id, (0, 0))
            if last[0] > moment + MAX_AHEAD_MILLISECONDS:
                _LOG.warning("the clock was set back: ids were %d ms ahead of it", last[0] - moment)
                last = (0, 0)
            parts = _compute_next(max(last, _parse_time_and_counter(after)) if after else last, moment)
            self._last[tenant_id] = parts if parts[0] <= moment + MAX_AHEAD_MILLISECONDS else last
        return f"{self._prefix}{parts[0]:013d}{parts[1]:04x}{_RANDOM.draw_hexadecimal(8)}"


def build_first_trade_id(instant: datetime) -> str:
    """Return the lower bound of the trade ids that are created at `instant` or later.

    It sorts before each of them, and after all earlier ones.
    """
    return f"T{to_milliseconds(instant):013d}"


def generate_row_id() -> int:
    """Return a random row id: 52 bits, which every JSON parser keeps exactly and which reveal no count."""
    return (int.from_bytes(os.urandom(7), "big") >> 4) or 1


def generate_timed_id(now: datetime) -> int:
    """Return a row id above those of earlier milliseconds: 41 bits of time and 12 random bits."""
    return to_milliseconds(now) << 12 | int.from_bytes(os.urandom(2), "big") >> 4


def generate_tenant_id() -> int:
    """Return a random tenant id of 31 bits."""
    return (int.from_bytes(os.urandom(4), "big") >> 1) or 1


def generate_request_id() -> str:
    """Return a random request id of 20 hexadecimal digits."""
    return _RANDOM.draw_hexadecimal(20)


def _compute_next(floor: tuple[int, int], moment: int) -> tuple[int, int]:
    """Return the lowest time and counter above `floor` at that moment, in milliseconds."""
    if moment > floor[0]:
        return moment, 0
    return (floor[0], floor[1] + 1) if floor[1] < _COUNTER_LIMIT else (floor[0] + 1, 0)


def _parse_time_and_counter(trade_id: str) -> tuple[int, int]:
    return int(trade_id[_MILLISECOND_DIGITS]), int(trade_id[_COUNTER_DIGITS], 16)
