"""Names in Redis, and how often a message is tried."""

from collections.abc import Sequence
from typing import NamedTuple

CHANNEL = "trade_signals"
STREAM = "trade_signals_stream"
GROUP = "oms"
DATA_FIELD = b"data"
DEAD_LETTER_STREAM = "trade_signals_dead"
MAX_DEAD_LETTERS = 10_000  # entries of the stream of refused messages
MAX_DELIVERIES = 5
MIN_PAUSE_SECONDS, MAX_PAUSE_SECONDS = 0.5, 30.0


class StreamEntry(NamedTuple):
    """An entry of a stream: its ID, and the message of its field `data`."""

    id: bytes
    message: bytes


def compute_pause(failures: int) -> float:
    """Return the seconds to wait after that many failed connections in a row."""
    return min(MIN_PAUSE_SECONDS * (1 << min(failures, 10)), MAX_PAUSE_SECONDS)


def read_entries(raw_entries: Sequence[tuple[bytes, dict[bytes, bytes] | None]]) -> list[StreamEntry]:
    """Return the entries of a stream. An entry without `data` has an empty message.

    Entries that were deleted in the stream meanwhile are left out.
    """
    return [
        StreamEntry(id_, fields.get(DATA_FIELD, b"")) for id_, fields in raw_entries if fields is not None
    ]


def is_undeliverable(deliveries: int) -> bool:
    """Return whether a message that failed unexpectedly was delivered often enough."""
    return deliveries >= MAX_DELIVERIES
