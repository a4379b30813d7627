"""Where the banners are that channels see while trading is stopped."""

import threading
from dataclasses import dataclass

from app.forms.text import name_key


@dataclass(frozen=True)
class Banner:
    """A posted message."""

    channel: str
    timestamp: str


class BannerRegistry:
    """The banner of each portfolio whose trading is stopped; the empty name is that of all portfolios.

    It is kept in memory. After a restart, the channel gets a new message instead of an edited one.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._banners: dict[str, Banner] = {}

    def add(self, portfolio: str, banner: Banner) -> None:
        """Store the banner of a portfolio."""
        with self._lock:
            self._banners[name_key(portfolio)] = banner

    def get(self, portfolio: str) -> Banner | None:
        """Return the banner of a portfolio, None if there is none."""
        with self._lock:
            return self._banners.get(name_key(portfolio))

    def remove(self, portfolio: str) -> None:
        """Remove the banner of a portfolio."""
        with self._lock:
            self._banners.pop(name_key(portfolio), None)
