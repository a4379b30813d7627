"""No prices except those that are set by `PUT /quotes` and stored."""

from collections.abc import Sequence
from datetime import datetime

from app.market_data.rules.bars import Interval
from app.market_data.rules.values import Bar, Quote


class ManualSource:
    """Has no prices."""

    name = "manual"

    def get_quote(self, symbol: str, at: datetime) -> Quote | None:  # noqa: ARG002  # declared by PriceSource
        """Return None: manual quotes are stored in the table of quotes."""
        return None

    def get_last_heartbeat(self, at: datetime) -> datetime | None:  # noqa: ARG002  # declared by PriceSource
        """Return None: a manual quote holds until the next one."""
        return None

    def get_bars(
        self, symbol: str, interval: Interval, start: datetime, end: datetime,  # noqa: ARG002  # declared by PriceSource
    ) -> Sequence[Bar] | None:  # fmt: skip
        """Return None: bars of manual quotes are stored in the table of bars."""
        return None

    def follow(self, symbols: frozenset[str]) -> None:
        """Do nothing: manual quotes need no subscription."""
