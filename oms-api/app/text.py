"""Names and other text that people write: cleaned once, and compared without what nobody sees."""

import unicodedata

_FORBIDDEN_CATEGORIES = {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"}  # controls, format (bidi) characters, surrogates
_JOINERS = (
    "\u200c\u200d"  # format characters that some scripts and emoji are written with; the bot takes them too
)
_WITHOUT_JOINERS = str.maketrans("", "", _JOINERS)


def clean_text(text: str) -> str | None:
    """Return `text` trimmed and in NFC, or None where it holds control, format (bidi) or unpaired
    characters.
    """
    if text.isascii():
        return text.strip() if text.isprintable() else None
    if any(map(_is_forbidden, without_joiners(text))):
        return None
    return unicodedata.normalize("NFC", text).strip()


def without_joiners(text: str) -> str:
    """Return `text` without the joiners, which nobody sees."""
    return text.translate(_WITHOUT_JOINERS)


def name_key(name: str) -> str:
    """Return the form under which names are unique: case and joiners, which nobody sees, do not count."""
    if name.isascii():
        return name.lower()
    return unicodedata.normalize("NFC", without_joiners(name).casefold())


def _is_forbidden(character: str) -> bool:
    code = ord(character)
    is_noncharacter = code & 0xFFFE == 0xFFFE or 0xFDD0 <= code <= 0xFDEF
    return is_noncharacter or unicodedata.category(character) in _FORBIDDEN_CATEGORIES
