"""What a source of prices can do. Adding one: a file beside this one, and a line in `sources`."""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from app.market_data.rules.bars import Interval
from app.market_data.rules.values import Bar, Quote


class PriceSource(Protocol):
    """Where prices come from. It is asked from several threads, and never waits for anything: what comes
    over a network is received by the source's own thread, and kept.
    """

    @property
    def name(self) -> str:
        """How it is called in PRICE_SOURCE."""
        ...

    def quote(self, symbol: str, at: datetime) -> Quote | None:
        """Return the newest quote at the instant `at`, or None where there is none."""
        ...

    def heard_at(self, at: datetime) -> datetime | None:
        """Return when the feed was last heard by the instant `at`, whatever the symbol: by its newest quote
        or a heartbeat of its own. Return None where prices never grow old.
        """
        ...

    def bars(self, symbol: str, interval: Interval, start: datetime, end: datetime) -> Sequence[Bar] | None:
        """Return the bars that begin in [start, end), in the order of time, the last up to `end`; None where
        the source keeps none, so that what was stored is shown.
        """
        ...

    def follow(self, symbols: frozenset[str]) -> None:
        """Subscribe to these symbols, and to no others from now on: those that somebody listens to, or asked
        for lately. The market duty says so within half a second of the first question.
        """
        ...
