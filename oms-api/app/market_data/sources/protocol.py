"""The interface of price sources. To add one, add a module here and an entry in `sources`."""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from app.market_data.rules.bars import Interval
from app.market_data.rules.values import Bar, Quote


class PriceSource(Protocol):
    """A source of prices.

    It is called from several threads and never blocks. A network source receives prices in its own thread and
    caches them.
    """

    @property
    def name(self) -> str:
        """The source's name in PRICE_SOURCE."""

    def get_quote(self, symbol: str, at: datetime) -> Quote | None:
        """Return the latest quote at the instant `at`, or None."""

    def get_last_heartbeat(self, at: datetime) -> datetime | None:
        """Return when the feed last sent a quote of any symbol or a heartbeat, as of the instant `at`.

        Return None if prices never become stale.
        """

    def get_bars(
        self, symbol: str, interval: Interval, start: datetime, end: datetime
    ) -> Sequence[Bar] | None:
        """Return the bars that begin in [start, end) in time order, the last one up to `end`.

        Return None if the source has no bars, so that the stored ones are used.
        """

    def follow(self, symbols: frozenset[str]) -> None:
        """Subscribe to exactly these symbols, which have a listener or were requested recently.

        The market watcher calls this within half a second of the first request.
        """
