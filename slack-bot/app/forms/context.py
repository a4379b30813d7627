"""State of a form, stored in Slack's `private_metadata`.

It has no secrets: the person's client can read it.
"""

import json
from dataclasses import dataclass, replace
from typing import Any, Self

VERSION = 1
MAX_CONFIRMED = 16  # each has fewer than 60 characters


@dataclass(frozen=True)
class FormContext:
    """The channel of the command and the state of its form.

    `attempt`: how many submissions were refused; it is part of the idempotency key.
    `confirmed`: the ids of the questions that the person confirmed in this form.
    `is_outcome_unknown`: the form was submitted, and it is unknown whether it traded.
    """

    channel: str
    attempt: int = 0
    is_outcome_unknown: bool = False
    confirmed: tuple[str, ...] = ()

    def with_confirmed(self, *keys: str) -> Self:
        """Return the context with these confirmed questions added.

        The oldest are dropped beyond the limit.
        """
        all_keys = dict.fromkeys([*self.confirmed, *keys])
        return replace(self, confirmed=tuple(all_keys)[-MAX_CONFIRMED:])

    def with_denial(self) -> Self:
        """Return the context for a form that is shown again after a refusal, with a new idempotency key.

        While the outcome of an earlier submission is unknown, the key stays the same: that one may be
        recorded.
        """
        return self if self.is_outcome_unknown else replace(self, attempt=self.attempt + 1)

    def with_unknown_outcome(self) -> Self:
        """Return the context for a form that is shown again while its outcome is unknown."""
        return replace(self, is_outcome_unknown=True)

    def dump(self) -> str:
        """Serialize the context for `private_metadata` (under 3,000 characters)."""
        return json.dumps(self._list_values(), separators=(",", ":"), ensure_ascii=False)

    @classmethod
    def load(cls, text: str) -> Self:
        """Parse `private_metadata`. Content that is not of this version returns an empty context."""
        try:
            values = json.loads(text)
        except ValueError:
            return cls("")
        if not isinstance(values, dict) or values.get("v") != VERSION:
            return cls("")
        return cls._parse_values(values)

    def _list_values(self) -> dict[str, Any]:
        values = {"v": VERSION, "channel": self.channel, "attempt": self.attempt}
        unknown_outcome = {"unsettled": True} if self.is_outcome_unknown else {}
        confirmed = {"confirmed": list(self.confirmed)} if self.confirmed else {}
        return values | unknown_outcome | confirmed

    @classmethod
    def _parse_values(cls, values: dict[str, Any]) -> Self:
        attempt = count_of(values.get("attempt"))
        is_unknown = bool(values.get("unsettled"))
        return cls(str(values.get("channel", "")), attempt, is_unknown, _load_texts(values.get("confirmed")))


def count_of(value: Any) -> int:
    """Return a stored count, 0 if it is invalid."""
    return value if isinstance(value, int) and value >= 0 else 0


def _load_texts(value: Any) -> tuple[str, ...]:
    return tuple(map(str, value[-MAX_CONFIRMED:])) if isinstance(value, list) else ()
