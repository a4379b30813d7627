"""The status of people in Slack, as it was last reported to the OMS."""

import threading
from collections import OrderedDict

MAX_ENTRIES = 10_000


class ReportedStatuses:
    """The status that was last reported of each person. Slack sends an event for each change of a profile."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._statuses: OrderedDict[str, str] = OrderedDict()

    def is_reported(self, user: str, status: str) -> bool:
        """Return whether the status of a person is the last one that was reported."""
        with self._lock:
            return self._statuses.get(user) == status

    def record(self, user: str, status: str) -> None:
        """Store a status that was reported."""
        with self._lock:
            self._statuses[user] = status
            self._statuses.move_to_end(user)
            while len(self._statuses) > MAX_ENTRIES:
                self._statuses.popitem(last=False)
