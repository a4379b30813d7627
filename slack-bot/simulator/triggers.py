"""Trigger ids: permission to open one form, for three seconds."""

from collections import OrderedDict
from dataclasses import dataclass

from simulator import ids
from simulator.clock import Clock
from simulator.errors import SlackError

LIFETIME_SECONDS = 3.0
KEPT = 1_000


@dataclass
class Trigger:
    """Who earned it, where, and whether it is spent."""

    user: str
    issued_at: float
    channel: str | None = None
    exchanged: bool = False


class Triggers:
    """All triggers handed out lately."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._triggers: OrderedDict[str, Trigger] = OrderedDict()

    def issue(self, user: str, channel: str | None = None) -> str:
        """Return a fresh trigger id for something that ``user`` just did."""
        trigger_id = ids.trigger_id()
        self._triggers[trigger_id] = Trigger(user, self._clock.now(), channel)
        while len(self._triggers) > KEPT:
            self._triggers.popitem(last=False)
        return trigger_id

    def exchange(self, trigger_id: str) -> Trigger:
        """Spend a trigger; raise Slack's error for an unknown, used or old one."""
        trigger = self._triggers.get(trigger_id)
        if trigger is None:
            raise SlackError("invalid_trigger_id")
        if trigger.exchanged:
            raise SlackError("exchanged_trigger_id")
        if self._clock.now() - trigger.issued_at > LIFETIME_SECONDS:
            raise SlackError("expired_trigger_id")
        trigger.exchanged = True
        return trigger
