"""No prices but those that are given by `PUT /quotes`, which are stored."""

from collections.abc import Sequence
from datetime import datetime

from app.market_data.rules.bars import Interval
from app.market_data.rules.values import Bar, Quote


class ManualSource:
    """Knows nothing by itself."""

    name = "manual"

    def quote(self, symbol: str, at: datetime) -> Quote | None:  # noqa: ARG002  # the protocol's
        """Return None: what was given stands in the table of quotes."""
        return None

    def heard_at(self, at: datetime) -> datetime | None:  # noqa: ARG002  # the protocol's
        """Return None: what was given by hand holds until something else is given."""
        return None

    def bars(self, symbol: str, interval: Interval, start: datetime, end: datetime) -> Sequence[Bar] | None:  # noqa: ARG002  # the protocol's
        """Return None: what was given stands in the table of bars."""
        return None

    def follow(self, symbols: frozenset[str]) -> None:
        """Do nothing: who gives quotes knows what for."""
