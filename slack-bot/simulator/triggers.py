"""Trigger ids: each permits opening one form within three seconds."""

from collections import OrderedDict
from dataclasses import dataclass

from simulator import ids
from simulator.clock import Clock
from simulator.errors import SlackError

LIFETIME_SECONDS = 3.0
MAX_TRIGGERS = 1_000


@dataclass
class Trigger:
    """The person and the channel of a trigger, and whether it was used."""

    user: str
    issued_at: float
    channel: str | None = None
    is_exchanged: bool = False


class Triggers:
    """The recent triggers."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._triggers: OrderedDict[str, Trigger] = OrderedDict()

    def issue(self, user: str, channel: str | None = None) -> str:
        """Return a new trigger id for an action of ``user``."""
        trigger_id = ids.trigger_id()
        self._triggers[trigger_id] = Trigger(user, self._clock.now(), channel)
        while len(self._triggers) > MAX_TRIGGERS:
            self._triggers.popitem(last=False)
        return trigger_id

    def exchange(self, trigger_id: str) -> Trigger:
        """Use a trigger. Raises Slack's error if it is unknown, used or expired."""
        trigger = self._triggers.get(trigger_id)
        if trigger is None:
            raise SlackError("invalid_trigger_id")
        if trigger.is_exchanged:
            raise SlackError("exchanged_trigger_id")
        if self._clock.now() - trigger.issued_at > LIFETIME_SECONDS:
            raise SlackError("expired_trigger_id")
        trigger.is_exchanged = True
        return trigger
