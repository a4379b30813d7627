"""Response URLs answer where a command was typed, member or not. Kept here, never in a form."""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

USES = 5
LIFE_SECONDS = 29 * 60.0  # Slack says 30 minutes; one is left for the way
REMEMBERED = 5000


@dataclass
class _Url:
    url: str
    expires_at: float
    uses_left: int = USES


class ResponseUrls:
    """The response URL of the command that opened a form, by view id, for as long as Slack takes it."""

    def __init__(self, clock: Callable[[], float] = time.monotonic):
        self._clock = clock
        self._urls: OrderedDict[str, _Url] = OrderedDict()
        self._lock = threading.Lock()

    def remember(self, view_id: str, url: str, seconds: float = LIFE_SECONDS) -> None:
        """Keep the URL of a command; Slack takes it for so long."""
        with self._lock:
            self._urls[view_id] = _Url(url, self._clock() + seconds)
            while len(self._urls) > REMEMBERED:
                self._urls.popitem(last=False)

    def get(self, view_id: str) -> tuple[str, float]:
        """Return the URL and the seconds that it is valid for, without a use; empty if there is none."""
        with self._lock:
            known = self._urls.get(view_id)
            return (known.url, known.expires_at - self._clock()) if known else ("", 0.0)

    def take(self, view_id: str) -> str | None:
        """Return the URL and count one use; None when it is unknown, used up or too old."""
        with self._lock:
            known = self._urls.get(view_id)
            if known is None or known.uses_left == 0 or self._clock() >= known.expires_at:
                return None
            known.uses_left -= 1
            return known.url
