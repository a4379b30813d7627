"""Describe the instruments that match the typed symbol."""

from collections.abc import Sequence
from typing import NamedTuple

from app.forms.text import InvalidName, parse_symbol

MAX_SHOWN = 5
SYMBOL_PROMPT = "Type a symbol, or a part of an instrument's name to find its symbol."


class Instrument(NamedTuple):
    """A listed instrument. `name` may be empty."""

    symbol: str
    name: str

    @property
    def label(self) -> str:
        """The symbol, with the name in parentheses if there is one."""
        return f"{self.symbol} ({self.name})" if self.name else self.symbol


def build_symbol_line(typed: str, instruments: Sequence[Instrument] | None) -> str:
    """Return the line below the symbol: the instrument with that symbol, else the matching ones.

    `instruments` is None if the OMS has not responded.
    """
    if not typed.strip() or instruments is None:
        return SYMBOL_PROMPT
    try:
        symbol = parse_symbol(typed)
    except InvalidName:
        symbol = ""
    if exact := next((instrument for instrument in instruments if instrument.symbol == symbol), None):
        return exact.label
    if not instruments:
        return (
            f"{symbol} is not a listed instrument."
            if symbol
            else f"No listed instrument matches {typed.strip()}."
        )
    matches = ", ".join(instrument.label for instrument in instruments[:MAX_SHOWN])
    return f"Matching instruments: {matches}" + (" and more" if len(instruments) > MAX_SHOWN else "")
