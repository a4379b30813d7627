"""Response URLs: each accepts five responses within thirty minutes."""

import secrets
from collections import OrderedDict
from dataclasses import dataclass

from simulator import ids, workspace
from simulator.clock import Clock
from simulator.errors import SlackError

MAX_USES = 5
LIFETIME_SECONDS = 30 * 60
MAX_URLS = 1_000
PREFIX = "/response"


@dataclass
class ResponseUrl:
    """The target of a response. ``message_ts`` is the message that was clicked, if any."""

    channel: str
    user: str
    message_ts: str | None
    expires_at: float
    uses_left: int = MAX_USES


class ResponseUrls:
    """The recent response URLs, by path."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._by_path: OrderedDict[str, ResponseUrl] = OrderedDict()

    def issue(self, channel: str, user: str, message_ts: str | None = None) -> str:
        """Return the path of a new response URL."""
        path = f"{PREFIX}/{workspace.TEAM_ID}/{ids.digits(13)}/{secrets.token_urlsafe(18)}"
        expires_at = self._clock.now() + LIFETIME_SECONDS
        self._by_path[path] = ResponseUrl(channel, user, message_ts, expires_at)
        while len(self._by_path) > MAX_URLS:
            self._by_path.popitem(last=False)
        return path

    def find(self, path: str) -> ResponseUrl:
        """Return a valid response URL. Raises ``expired_url`` or ``used_url``."""
        url = self._by_path.get(path)
        if url is None or self._clock.now() > url.expires_at:
            raise SlackError("expired_url")
        if url.uses_left <= 0:
            raise SlackError("used_url")
        return url
