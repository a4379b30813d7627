"""Parse alerts, such as `AAPL above 200 repeat` or `pnl below -500 in Growth`."""

import difflib
import re
from dataclasses import dataclass

from app.errors import InvalidCommand
from app.forms.text import InvalidName, parse_portfolio, parse_symbol

EXAMPLE = "Type it like `alert AAPL above 200`, `alert pnl below -500 in Growth` or `alert remove A179…`."
ALERT = re.compile(
    r"(?P<subject>\S+)\s+(?P<side>above|below)\s+(?P<value>-?[$]?[0-9][0-9,]*(?:\.[0-9]+)?)%?"
    r"(?P<repeat>\s+repeat)?(?:\s+(?:in|of)\s+(?P<portfolio>.+))?",
    re.IGNORECASE | re.DOTALL,
)
TO_OWNER = "me"  # instead of the id of a channel
REMOVAL = re.compile(r"(?:remove|delete)\s+(?P<id>[A-Za-z0-9]{1,40})", re.IGNORECASE)
SIDES = ("above", "below")
MIN_LIKENESS = 0.6  # similarity of two words, between 0 and 1
KINDS = {"pnl": "day_pnl", "p&l": "day_pnl", "drawdown": "drawdown", "limit": "limit_use"}


@dataclass(frozen=True)
class AlertRequest:
    """An alert to create, or the id of an alert to remove.

    `deliver_to` is a channel, or the person. `key` is the idempotency key.
    """

    kind: str = ""
    symbol: str = ""
    portfolio: str = ""
    side: str = ""
    value: str = ""
    is_repeated: bool = False
    removed_id: str = ""
    deliver_to: str = TO_OWNER
    key: str = ""


def parse_alert(text: str) -> AlertRequest:
    """Return the alert of the words after `alert`. Raises `InvalidCommand`."""
    if removal := REMOVAL.fullmatch(text):
        return AlertRequest(removed_id=removal["id"])
    match = ALERT.fullmatch(text)
    if match is None:
        raise _build_error(text)
    kind = KINDS.get(match["subject"].casefold(), "price")
    if (kind == "price") == bool(match["portfolio"]):
        raise InvalidCommand(
            f"An alert is on a symbol, or on `pnl`, `drawdown` or `limit` of a portfolio. {EXAMPLE}"
        )
    try:
        return AlertRequest(
            kind=kind,
            symbol=parse_symbol(match["subject"]) if kind == "price" else "",
            portfolio=parse_portfolio(match["portfolio"]) if match["portfolio"] else "",
            side=match["side"].casefold(),
            value=match["value"].replace(",", "").replace("$", ""),
            is_repeated=bool(match["repeat"]),
        )
    except InvalidName as error:
        raise InvalidCommand(str(error)) from None


def _build_error(text: str) -> InvalidCommand:
    """Return the error for words that are not an alert. It suggests `above` or `below` for a similar word."""
    _subject, side, *_rest = [*text.split(), "", ""]
    nearest = difflib.get_close_matches(side.casefold(), SIDES, 1, MIN_LIKENESS)
    if not nearest or nearest[0] == side.casefold():
        return InvalidCommand(f"That alert is not understood. {EXAMPLE}")
    return InvalidCommand(f"“{side[:40]}” is not understood. Did you mean `{nearest[0]}`? {EXAMPLE}")
