"""What a form remembers, in Slack's `private_metadata`. No secrets: the person's client sees it."""

import json
from dataclasses import dataclass, replace
from typing import Any

VERSION = 1
CONFIRMED_AT_MOST = 16  # each is under 60 characters long


@dataclass(frozen=True)
class FormContext:
    """Where the command was typed, and how often this form was denied (part of the idempotency key).

    `confirmed`: the ids of the questions that were answered with yes in this form, so that another question
    does not make it forget them.
    `unsettled`: it was sent once, and nobody could tell what became of that.
    """

    channel: str
    attempt: int = 0
    unsettled: bool = False
    confirmed: tuple[str, ...] = ()

    def confirming(self, *answers: str) -> "FormContext":
        """Return the context after these answers, the newest of them if there are many."""
        known = dict.fromkeys([*self.confirmed, *answers])
        return replace(self, confirmed=tuple(known)[-CONFIRMED_AT_MOST:])

    def denied(self) -> "FormContext":
        """Return the context of a form shown again after a denial: what follows is a new request.

        While an earlier press is unsettled, it stays the same request: that one may be in the ledger yet.
        """
        return self if self.unsettled else replace(self, attempt=self.attempt + 1)

    def left_open(self) -> "FormContext":
        """Return the context of a form shown again without knowing whether it traded."""
        return replace(self, unsettled=True)

    def dump(self) -> str:
        """Write it for `private_metadata` (under 3,000 characters)."""
        values = {"v": VERSION, "channel": self.channel, "attempt": self.attempt}
        unsettled = {"unsettled": True} if self.unsettled else {}
        confirmed = {"confirmed": list(self.confirmed)} if self.confirmed else {}
        return json.dumps(values | unsettled | confirmed, separators=(",", ":"), ensure_ascii=False)

    @classmethod
    def load(cls, text: str) -> "FormContext":
        """Read it back; a form of another version, or a strange one, has lost its channel but still works."""
        try:
            values = json.loads(text)
        except ValueError:
            return cls("")
        if not isinstance(values, dict) or values.get("v") != VERSION:
            return cls("")
        attempt, unsettled = _count(values.get("attempt")), bool(values.get("unsettled"))
        return cls(str(values.get("channel", "")), attempt, unsettled, _texts(values.get("confirmed")))


def _count(value: Any) -> int:
    return value if isinstance(value, int) and value >= 0 else 0


def _texts(value: Any) -> tuple[str, ...]:
    return tuple(map(str, value[-CONFIRMED_AT_MOST:])) if isinstance(value, list) else ()
