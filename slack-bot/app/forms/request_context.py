"""State of a form that changes orders, positions or kill switches, stored in `private_metadata`."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

VERSION = 1


@dataclass(frozen=True)
class RequestContext:
    """The channel where the form was requested, its subject, and how many submissions were refused.

    `subject` is a command in words, or the key of a position. It has no secrets. `is_outcome_unknown`: the
    form was submitted, and it is unknown whether that took effect.
    """

    channel: str = ""
    subject: str = ""
    attempt: int = 0
    is_outcome_unknown: bool = False

    def with_refusal(self) -> "RequestContext":
        """Return the context after a submission that changed nothing: the next one gets a new key.

        While the outcome of an earlier submission is unknown, the key stays the same: that one may take
        effect.
        """
        return self if self.is_outcome_unknown else replace(self, attempt=self.attempt + 1)

    def with_unknown_outcome(self) -> "RequestContext":
        """Return the context after a submission that may have taken effect."""
        return replace(self, is_outcome_unknown=True)

    def with_known_outcome(self) -> "RequestContext":
        """Return the context after an outcome that is stored under the key: the next one gets a new key."""
        return replace(self, is_outcome_unknown=False).with_refusal()

    def dump(self) -> str:
        """Serialize the context for `private_metadata` (under 3,000 characters)."""
        values: dict[str, Any] = {"v": VERSION, "channel": self.channel, "subject": self.subject}
        values["attempt"] = self.attempt
        values |= {"unsettled": True} if self.is_outcome_unknown else {}
        return json.dumps(values, separators=(",", ":"), ensure_ascii=False)

    @classmethod
    def load(cls, text: str) -> "RequestContext":
        """Parse `private_metadata`. Content that is not of this version returns an empty context."""
        try:
            values = json.loads(text)
        except ValueError:
            return cls()
        if not isinstance(values, dict) or values.get("v") != VERSION:
            return cls()
        attempt = values.get("attempt")
        return cls(
            str(values.get("channel", "")),
            str(values.get("subject", "")),
            attempt if isinstance(attempt, int) and attempt >= 0 else 0,
            bool(values.get("unsettled")),
        )


def read_entries(view: Mapping[str, Any]) -> dict[str, str]:
    """Return the entries of a submitted form by block id. Several choices are joined with commas."""
    state = (view.get("state") or {}).get("values") or {}
    return {block_id: _read_entry(next(iter(actions.values()), {})) for block_id, actions in state.items()}


def _read_entry(entry: Mapping[str, Any]) -> str:
    if "selected_options" in entry:
        return ",".join(str(selected_option["value"]) for selected_option in entry["selected_options"] or [])
    if "selected_option" in entry:
        return str((entry["selected_option"] or {}).get("value", ""))
    return str(entry.get("selected_date") or entry.get("value") or "").strip()
