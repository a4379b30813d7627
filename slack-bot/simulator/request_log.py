"""Log every Web API call that is received and every delivery that is made."""

from collections import deque
from itertools import count
from typing import Any

MAX_ENTRIES = 300  # of each kind
Entry = dict[str, Any]


class RequestLog:
    """The latest calls and deliveries, oldest first. Each entry is a dict with an ``id``."""

    def __init__(self) -> None:
        self._ids = count(1)
        self.calls: deque[Entry] = deque(maxlen=MAX_ENTRIES)
        self.deliveries: deque[Entry] = deque(maxlen=MAX_ENTRIES)

    def add_call(self, **entry: Any) -> Entry:
        """Add a Web API call."""
        return self._add_entry(self.calls, entry)

    def add_delivery(self, **entry: Any) -> Entry:
        """Add a delivery. The caller completes the entry when the response arrives."""
        return self._add_entry(self.deliveries, entry)

    def find_delivery(self, delivery_id: int | None) -> Entry | None:
        """Return the delivery with that id, or None. Without an id, return the last one."""
        for entry in reversed(self.deliveries):
            if delivery_id in (None, entry["id"]):
                return entry
        return None

    def serialize(self) -> dict[str, list[Entry]]:
        """Return both lists."""
        return {"calls": list(self.calls), "deliveries": list(self.deliveries)}

    def _add_entry(self, entries: deque[Entry], entry: Entry) -> Entry:
        entry["id"] = next(self._ids)
        entries.append(entry)
        return entry
