"""The state of the reception of signals over Redis in this process."""

from datetime import datetime
from typing import NamedTuple

from app.clock import Now


class ChannelProblem(NamedTuple):
    """The reason why signals are not received, and its start time."""

    reason: str
    since: datetime


class ChannelState:
    """The problems of the stream and of the channel, by name. For one event loop."""

    def __init__(self, now: Now) -> None:
        self._now = now
        self._problems: dict[str, ChannelProblem] = {}

    def set_problem(self, name: str, reason: str | None) -> bool:
        """Set why nothing is received, None if signals are received. Return whether the state changed."""
        before = self._problems.get(name)
        if reason is None:
            self._problems.pop(name, None)
            return before is not None
        since = self._now() if before is None else before.since
        self._problems[name] = ChannelProblem(reason, since)
        return before is None

    @property
    def problem(self) -> ChannelProblem | None:
        """The oldest problem, None if all signals are received."""
        return min(self._problems.values(), key=lambda problem: problem.since, default=None)
