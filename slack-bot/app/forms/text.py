"""Parse symbols, names and notes."""

import re
import unicodedata

from app.forms import fields
from app.forms.input_normalization import strip_name_quotes, strip_quotes
from app.forms.ticket import MAX_NOTE_CHARACTERS, MAX_PORTFOLIO_CHARACTERS, MAX_SYMBOL_CHARACTERS

SYMBOL = re.compile(rf"[A-Z0-9][A-Z0-9.&/_-]{{0,{MAX_SYMBOL_CHARACTERS - 1}}}", re.ASCII)
SYMBOL_SENTENCE = (
    "Enter a symbol such as AAPL, BRK.B, M&M or BTC/USD: letters, digits and . & / _ - "
    f"({MAX_SYMBOL_CHARACTERS} characters at most)."
)
# The same rules as in the OMS's `app/text.py`: the OMS accepts every name and note that is accepted here.
FORBIDDEN_CATEGORIES = ("Cc", "Cf", "Cs", "Co", "Zl", "Zp")  # control, bidi and other format characters
JOINERS = "\u200c\u200d"  # several scripts and emoji need them: a note may contain them, a name may not
# Unicode's Default_Ignorable_Code_Point, the same in versions 14 to 16. `unicodedata` has no such property.
DEFAULT_IGNORABLE = (
    *((0xAD, 0xAD), (0x34F, 0x34F), (0x61C, 0x61C), (0x115F, 0x1160), (0x17B4, 0x17B5), (0x180B, 0x180F)),
    *((0x200B, 0x200F), (0x202A, 0x202E), (0x2060, 0x206F), (0x3164, 0x3164), (0xFE00, 0xFE0F)),
    *((0xFEFF, 0xFEFF), (0xFFA0, 0xFFA0), (0xFFF0, 0xFFF8), (0x1BCA0, 0x1BCA3), (0x1D173, 0x1D17A)),
    (0xE0000, 0xE0FFF),
)
INVISIBLE = re.compile("[" + "".join(f"{chr(low)}-{chr(high)}" for low, high in DEFAULT_IGNORABLE) + "]")
VARIANTS_BY_MARK = {
    "'": "`´ʹʻʼʽˈˊˋ‘’‚‛′‵＇｀",  # noqa: RUF001  # the characters are intended
    '"': "“”„‟″‶«»〝〞＂",  # noqa: RUF001  # the characters are intended
    "-": "‐‑‒–—―−⁃﹘﹣－",  # noqa: RUF001  # the characters are intended
}
MARK_TABLE = str.maketrans({mark: plain for plain, marks in VARIANTS_BY_MARK.items() for mark in marks})
PATHS = (".", "..")  # HTTP clients remove these from a path
LINE_BREAKS = re.compile(r"[\t\r\n]+")


class InvalidName(ValueError):
    """Raised when the text is not valid. The message is a sentence for the person."""


def parse_symbol(text: str) -> str:
    """Return the symbol in upper case, without the `$` of a cashtag. Raises `InvalidName`."""
    symbol = strip_quotes(text).removeprefix("$").upper()
    if not SYMBOL.fullmatch(symbol):
        raise InvalidName(SYMBOL_SENTENCE)
    return symbol


def parse_portfolio(text: str) -> str:
    """Return the portfolio name, trimmed and in NFC. Raises `InvalidName`."""
    name = strip_name_quotes(unicodedata.normalize("NFC", text))
    if not name_key(name) or name == fields.NO_CHOICE:
        raise InvalidName("Choose a portfolio, or type the name of a new one.")
    if len(name) > MAX_PORTFOLIO_CHARACTERS:
        raise InvalidName(f"A portfolio's name has at most {MAX_PORTFOLIO_CHARACTERS} characters.")
    if "/" in name or INVISIBLE.search(name) or _has_forbidden(name):
        raise InvalidName("A portfolio's name must not contain a slash or invisible characters.")
    if name in PATHS:
        raise InvalidName("A portfolio's name must not consist of dots only.")
    return name


def parse_note(text: str) -> str:
    """Return the note on one line, trimmed and in NFC. Raises `InvalidName`."""
    note = LINE_BREAKS.sub(" ", unicodedata.normalize("NFC", text)).strip()
    if len(note) > MAX_NOTE_CHARACTERS:
        raise InvalidName(f"A note has at most {MAX_NOTE_CHARACTERS} characters.")
    if _has_forbidden(note):
        raise InvalidName("A note must not contain invisible characters.")
    return note


def name_key(name: str) -> str:
    """Return the form in which the OMS compares names.

    Case, invisible characters, repeated white space and the kind of quotes and dashes do not count.
    """
    folded = unicodedata.normalize("NFD", INVISIBLE.sub("", name)).casefold()
    composed = unicodedata.normalize("NFC", INVISIBLE.sub("", folded))
    return " ".join(unicodedata.normalize("NFC", composed.translate(MARK_TABLE)).split())


def unescape(text: str) -> str:
    """Undo Slack's escaping of `& < >` in the text of a command."""
    return text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")


def _has_forbidden(text: str) -> bool:
    return any(_is_forbidden(character) for character in text if character not in JOINERS)


def _is_forbidden(character: str) -> bool:
    code = ord(character)
    is_noncharacter = code & 0xFFFE == 0xFFFE or 0xFDD0 <= code <= 0xFDEF
    return is_noncharacter or unicodedata.category(character) in FORBIDDEN_CATEGORIES
