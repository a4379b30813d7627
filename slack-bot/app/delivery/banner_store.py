"""The posted banners of stopped trading, shared by all bots and kept over a restart."""

from collections.abc import Callable
from dataclasses import dataclass

from app.forms.text import name_key
from app.storage.database import execute_or_log
from app.storage.storage import Storage


@dataclass(frozen=True)
class Banner:
    """A posted message."""

    channel: str
    timestamp: str


class BannerStore:
    """The banner of each portfolio whose trading is stopped; the empty name stands for all portfolios.

    If the database fails, the channel gets a new message instead of an edited one.
    """

    def __init__(self, storage: Storage, get_team: Callable[[], str]):
        self._database = storage.database
        self._get_team = get_team

    def add(self, portfolio: str, banner: Banner) -> None:
        """Store the banner of a portfolio."""
        execute_or_log(
            self._database, _ADD, self._get_team(), name_key(portfolio), banner.channel, banner.timestamp
        )

    def find(self, portfolio: str) -> Banner | None:
        """Return the banner of a portfolio, None if there is none."""
        rows = execute_or_log(self._database, _GET, self._get_team(), name_key(portfolio))
        return Banner(*rows[0]) if rows else None

    def remove(self, portfolio: str) -> None:
        """Remove the banner of a portfolio."""
        execute_or_log(self._database, _REMOVE, self._get_team(), name_key(portfolio))


_ADD = """INSERT INTO banners (team, portfolio, channel, ts) VALUES (?, ?, ?, ?)
    ON CONFLICT (team, portfolio) DO UPDATE SET channel = excluded.channel, ts = excluded.ts"""
_GET = "SELECT channel, ts FROM banners WHERE team = ? AND portfolio = ?"
_REMOVE = "DELETE FROM banners WHERE team = ? AND portfolio = ?"
