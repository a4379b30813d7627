"""When each recipient of notifications got the last message."""

import threading
import time

BURST_SECONDS = 5.0  # between messages to one recipient; what comes meanwhile is one list


class NotificationPace:
    """The latest messages by recipient. `lock` lets one thread deliver at a time."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self._sent_at: dict[str, float] = {}

    def is_ready(self, recipient: str) -> bool:
        """Return whether the last message is long enough ago."""
        now = time.monotonic()
        self._sent_at = {key: at for key, at in self._sent_at.items() if at > now - BURST_SECONDS}
        return recipient not in self._sent_at

    def record(self, recipient: str) -> None:
        """Record that a message was sent."""
        self._sent_at[recipient] = time.monotonic()
