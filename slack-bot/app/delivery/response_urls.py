"""Keep response URLs in memory, and never in a form.

A response URL posts in the channel of the command, even if the bot is not a member.
"""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

MAX_USES = 5
LIFETIME_SECONDS = 29 * 60.0  # Slack accepts it for 30 minutes; one minute is reserved for the call
MAX_ENTRIES = 5000


@dataclass
class _Url:
    url: str
    expires_at: float
    uses_left: int = MAX_USES


class ResponseUrls:
    """The response URLs of the commands that opened forms, by view id, while they are valid."""

    def __init__(self, clock: Callable[[], float] = time.monotonic):
        self._clock = clock
        self._urls: OrderedDict[str, _Url] = OrderedDict()
        self._lock = threading.Lock()

    def remember(self, view_id: str, url: str, seconds: float = LIFETIME_SECONDS) -> None:
        """Store the response URL of a command. It expires after `seconds`."""
        with self._lock:
            self._urls[view_id] = _Url(url, self._clock() + seconds)
            while len(self._urls) > MAX_ENTRIES:
                self._urls.popitem(last=False)

    def get(self, view_id: str) -> tuple[str, float]:
        """Return the URL and its remaining seconds, without counting a use. Empty if there is none."""
        with self._lock:
            url = self._urls.get(view_id)
            return (url.url, url.expires_at - self._clock()) if url else ("", 0.0)

    def take(self, view_id: str) -> str | None:
        """Return the URL and count one use. None if it is unknown, used up or expired."""
        with self._lock:
            url = self._urls.get(view_id)
            if url is None or url.uses_left == 0 or self._clock() >= url.expires_at:
                return None
            url.uses_left -= 1
            return url.url
