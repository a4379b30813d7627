"""The form of a symbol."""

import re

SYMBOL_PATTERN = r"[A-Z0-9][A-Z0-9.&/_-]{0,19}"
WRITTEN_PATTERN = r" *[A-Za-z0-9][A-Za-z0-9.&/_-]{0,19} *"  # how it may come in
_SYMBOL = re.compile(SYMBOL_PATTERN, re.ASCII)


def normalise_symbol(text: str) -> str | None:
    """Return the symbol trimmed and in capitals, or None where it is not one ("BTC/USD", "BRK.B", "M&M"
    are).
    """
    symbol = text.strip(" ").upper()
    # Some letters beyond ASCII have a capital within it.
    return symbol if text.isascii() and _SYMBOL.fullmatch(symbol) else None
