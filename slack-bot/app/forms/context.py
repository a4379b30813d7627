"""What a form remembers, in Slack's `private_metadata`. No secrets: the person's client sees it."""

import json
from dataclasses import dataclass
from typing import Any

VERSION = 1


@dataclass(frozen=True)
class FormContext:
    """Where the command was typed, and how often this form was denied (part of the idempotency key)."""

    channel: str
    attempt: int = 0

    def denied(self) -> "FormContext":
        """Return the context of a form shown again after a denial: what follows is a new request."""
        return FormContext(self.channel, self.attempt + 1)

    def dump(self) -> str:
        """Write it for `private_metadata` (under 3,000 characters)."""
        return json.dumps(
            {"v": VERSION, "channel": self.channel, "attempt": self.attempt}, separators=(",", ":")
        )

    @classmethod
    def load(cls, text: str) -> "FormContext":
        """Read it back; a form of another version, or a strange one, has lost its channel but still works."""
        try:
            values = json.loads(text)
        except ValueError:
            return cls("")
        if not isinstance(values, dict) or values.get("v") != VERSION:
            return cls("")
        return cls(str(values.get("channel", "")), _count(values.get("attempt")))


def _count(value: Any) -> int:
    return value if isinstance(value, int) and value >= 0 else 0
