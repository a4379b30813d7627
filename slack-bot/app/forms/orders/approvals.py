"""State of the form in which an approver decides, stored in Slack's `private_metadata`."""

import json
from dataclasses import asdict, dataclass

DECISION_FORM = "decision_form"  # callback id of the view


@dataclass(frozen=True)
class DecisionContext:
    """The order to decide on, and the place of the request.

    `price_seen` is the moved reference price that the form shows, empty if the price has not moved.
    """

    order_id: str
    is_approval: bool
    channel: str = ""
    price_seen: str = ""

    def dump(self) -> str:
        """Serialize the context for `private_metadata`."""
        return json.dumps(asdict(self), separators=(",", ":"))

    @classmethod
    def load(cls, text: str) -> "DecisionContext":
        """Parse `private_metadata`. Other content returns an empty context."""
        try:
            values = json.loads(text)
            return cls(
                str(values["order_id"]),
                values["is_approval"] is True,
                str(values.get("channel", "")),
                str(values.get("price_seen", "")),
            )
        except (KeyError, TypeError, ValueError):
            return cls("", is_approval=False)
