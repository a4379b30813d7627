"""The values of the buttons under a recorded trade, and the state of the form that reverses it."""

import json
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta

from app.forms.numbers import format_plain
from app.forms.ticket import Draft, Trade

REVERSAL_FORM = "reversal_form"  # callback id of the view
REASON = "reversal_reason"
REASON_ACTION = "reversal_reason_entry"
MAX_REVERSAL_AGE = timedelta(minutes=1)
MAX_TEXT_CHARACTERS = 1200  # of the confirmation; JSON may double it, and `private_metadata` has 3,000


@dataclass(frozen=True)
class ReversalContext:
    """A trade to reverse: its author (a Slack user id), its time (ISO 8601), and its confirmation."""

    trade_id: str
    user: str
    recorded_at: str
    channel: str = ""
    ts: str = ""
    text: str = ""

    def dump(self) -> str:
        """Serialize the context for `private_metadata` or the value of a button."""
        return json.dumps({name: text for name, text in asdict(self).items() if text}, ensure_ascii=False)

    @classmethod
    def load(cls, text: str) -> "ReversalContext":
        """Parse a context. For invalid content, return a context that nobody may reverse."""
        try:
            return cls(**{name: str(value) for name, value in json.loads(text).items()})
        except (AttributeError, TypeError, ValueError):
            return cls("", "", "")

    def is_recent(self, now: datetime) -> bool:
        """Return whether the trade was recorded less than a minute ago."""
        try:
            return now - datetime.fromisoformat(self.recorded_at) <= MAX_REVERSAL_AGE
        except (TypeError, ValueError):
            return False


def build_again_value(trade: Trade) -> str:
    """Return the value of the button that opens the form for a trade like this one."""
    entries = {
        "symbol": trade.symbol,
        "quantity": format_plain(trade.quantity),
        "price": format_plain(trade.price),
        "side": trade.side,
        "portfolio": trade.portfolio,
    }
    return json.dumps(entries, ensure_ascii=False)


def read_again_value(value: str) -> Draft:
    """Return the entries of the form for a trade like an earlier one."""
    try:
        entries = json.loads(value)
        return Draft(
            symbol=str(entries["symbol"]),
            quantity=str(entries["quantity"]),
            price=str(entries["price"]),
            side=str(entries["side"]),
            portfolio=str(entries["portfolio"]),
        )
    except (KeyError, TypeError, ValueError):
        return Draft()
