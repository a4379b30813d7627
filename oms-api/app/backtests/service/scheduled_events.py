"""Events between the bars of a backtest at known instants, such as splits."""

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, date, datetime, time
from enum import IntEnum
from functools import partial
from heapq import merge
from typing import NamedTuple

from app.backtests.rules.settings import BacktestSettings
from app.backtests.service.corporate_actions import CorporateActionBooker
from app.backtests.service.feeds import BarFeed
from app.ledger.rules.corporate_actions import ActionKind, CorporateActionTerms
from app.market_data.rules.bars import Interval

NEVER = 2**62


class EventRank(IntEnum):
    """The order of events of one instant. A dividend is paid on the units before a split."""

    CARRY = 0
    SQUARE_OFF = 1
    DIVIDEND = 2
    SPLIT = 3


class ScheduledEvent(NamedTuple):
    """An event at an instant in seconds since 1970. `rank` orders the events of one instant."""

    at: int
    rank: EventRank
    run: Callable[[int], None]  # takes the instant


class ScheduledEvents:
    """Runs events in time order. Each source yields its own events in time order.

    An event runs before the first bar that begins at its instant or later. Its changes are reported to the
    strategy at the end of that bar. `next_at` is the instant of the next event.
    """

    def __init__(self, *sources: Iterator[ScheduledEvent]) -> None:
        self._events = merge(*sources, key=lambda event: (event.at, event.rank))
        self._next = next(self._events, None)
        self.next_at = NEVER if self._next is None else self._next.at

    def run_until(self, at: int) -> None:
        """Run the events up to an instant."""
        while self.next_at <= at and self._next is not None:
            self._next.run(self._next.at)
            self._next = next(self._events, None)
            self.next_at = NEVER if self._next is None else self._next.at


def build_action_events(
    settings: BacktestSettings, feeds: Mapping[str, BarFeed], booker: CorporateActionBooker
) -> Iterator[ScheduledEvent]:
    """Yield the corporate actions of the symbols."""
    actions = [action for action in settings.actions if action.symbol in feeds]
    events = [
        ScheduledEvent(
            _find_instant(action, settings.interval),
            EventRank.DIVIDEND if action.kind is ActionKind.DIVIDEND else EventRank.SPLIT,
            partial(booker.book_action, action),
        )
        for action in actions
    ]
    yield from sorted(events, key=lambda event: (event.at, event.rank))


def _find_instant(action: CorporateActionTerms, interval: Interval) -> int:
    """Return when an action takes effect. Bars of a day are of a date in UTC."""
    if interval is Interval.DAY:
        return int(datetime.combine(date.fromisoformat(action.ex_date), time(), UTC).timestamp())
    return int(datetime.fromisoformat(action.effective_at).timestamp())
