"""Identifiers: trade ids that sort by time, request ids, random text."""

import os
import threading
from datetime import datetime

from app.clock import milliseconds

TRADE_ID_LENGTH = 26
_COUNTER_LIMIT = 0xFFFF
_MILLISECOND_DIGITS = slice(1, 14)
_COUNTER_DIGITS = slice(14, 18)


class TradeIds:
    """Make trade ids, or by another prefix others of the kind: `T`, 13 digits of milliseconds, 4 of a
    counter, 8 random (hexadecimal).

    Ids of one process ascend; with `after` they also ascend past what another process wrote, so
    that the order of ids within a portfolio is the order of its sequence numbers.
    """

    def __init__(self, prefix: str = "T") -> None:
        self._prefix = prefix
        self._lock = threading.Lock()
        self._last = (0, 0)

    def next(self, now: datetime, after: str | None = None) -> str:
        """Return an id later than all before it and, where given, later than the id `after`."""
        with self._lock:
            floor = max(self._last, _time_and_counter(after)) if after else self._last
            moment = milliseconds(now)
            if moment > floor[0]:
                self._last = (moment, 0)
            elif floor[1] < _COUNTER_LIMIT:
                self._last = (floor[0], floor[1] + 1)
            else:
                self._last = (floor[0] + 1, 0)
            made, counter = self._last
        return f"{self._prefix}{made:013d}{counter:04x}{os.urandom(4).hex()}"


def first_trade_id_at(instant: datetime) -> str:
    """Return a text that sorts before every trade id made at `instant` or later, after all earlier ones."""
    return f"T{milliseconds(instant):013d}"


def new_request_id() -> str:
    """Return a fresh request id of 20 hexadecimal digits."""
    return os.urandom(10).hex()


def _time_and_counter(trade_id: str) -> tuple[int, int]:
    return int(trade_id[_MILLISECOND_DIGITS]), int(trade_id[_COUNTER_DIGITS], 16)
