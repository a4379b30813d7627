"""Symbols, names and notes as people type them."""

import re
import unicodedata

from app.forms import fields
from app.forms.ticket import MAX_NOTE_CHARACTERS, MAX_PORTFOLIO_CHARACTERS, MAX_SYMBOL_CHARACTERS
from app.forms.typing import unquoted, without_quotes

SYMBOL = re.compile(rf"[A-Z0-9][A-Z0-9.&/_-]{{0,{MAX_SYMBOL_CHARACTERS - 1}}}", re.ASCII)
SYMBOL_SENTENCE = (
    "Enter a symbol such as AAPL, BRK.B, M&M or BTC/USD: letters, digits and . & / _ - "
    f"({MAX_SYMBOL_CHARACTERS} characters at most)."
)
# The same lists as in the OMS's `ledger.rules.tickets`: what passes here is not refused there.
HARMFUL = ("Cc", "Cf", "Cs", "Co", "Zl", "Zp")  # control, bidi and other invisible characters
JOINERS = "\u200c\u200d"  # part of words in several scripts and of emoji
PATHS = (".", "..")  # clients of the OMS resolve these away before a request is sent
LINE_BREAKS = re.compile(r"[\t\r\n]+")


class NotAName(ValueError):
    """What was typed cannot be used; the message is a sentence for the person."""


def parse_symbol(text: str) -> str:
    """Return the symbol, upper-cased and without the `$` of a cashtag; raises `NotAName`."""
    symbol = unquoted(text).removeprefix("$").upper()
    if not SYMBOL.fullmatch(symbol):
        raise NotAName(SYMBOL_SENTENCE)
    return symbol


def parse_portfolio(text: str) -> str:
    """Return a portfolio's name, trimmed and NFC-normalised; raises `NotAName`."""
    name = without_quotes(unicodedata.normalize("NFC", text))
    if not name_key(name).strip() or name == fields.NO_CHOICE:
        raise NotAName("Choose a portfolio, or type the name of a new one.")
    if len(name) > MAX_PORTFOLIO_CHARACTERS:
        raise NotAName(f"A portfolio's name has at most {MAX_PORTFOLIO_CHARACTERS} characters.")
    if "/" in name or _harmful(name):
        raise NotAName("A portfolio's name has no slash and no invisible characters.")
    if name in PATHS:
        raise NotAName("A portfolio's name is more than dots.")
    return name


def parse_note(text: str) -> str:
    """Return a note, trimmed and in one line; raises `NotAName`."""
    note = LINE_BREAKS.sub(" ", unicodedata.normalize("NFC", text)).strip()
    if len(note) > MAX_NOTE_CHARACTERS:
        raise NotAName(f"A note has at most {MAX_NOTE_CHARACTERS} characters.")
    if _harmful(note):
        raise NotAName("A note has no invisible characters.")
    return note


def name_key(name: str) -> str:
    """Return the form under which the OMS holds two names for one: case and joiners do not count."""
    return unicodedata.normalize("NFC", "".join(each for each in name if each not in JOINERS).casefold())


def unescape(text: str) -> str:
    """Undo Slack's escaping of `& < >` in what people type after a command."""
    return text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")


def _harmful(text: str) -> bool:
    return any(unicodedata.category(each) in HARMFUL and each not in JOINERS for each in text)
