"""Names and other user text: normalized once, and compared without invisible characters."""

import re
import unicodedata

# control, format (bidi), surrogate, private-use and separator characters
_FORBIDDEN_CATEGORIES = {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"}
_JOINERS = "\u200c\u200d"  # format characters that some scripts and emoji need. The bot allows them too
_JOINER_REMOVAL = str.maketrans("", "", _JOINERS)
# Default_Ignorable_Code_Point of Unicode's DerivedCoreProperties.txt, which is the same in versions 14 to 16.
# Python's `unicodedata` does not have this property.
DEFAULT_IGNORABLE = (
    (0xAD, 0xAD), (0x34F, 0x34F), (0x61C, 0x61C), (0x115F, 0x1160), (0x17B4, 0x17B5), (0x180B, 0x180F),
    (0x200B, 0x200F), (0x202A, 0x202E), (0x2060, 0x206F), (0x3164, 0x3164), (0xFE00, 0xFE0F),
    (0xFEFF, 0xFEFF), (0xFFA0, 0xFFA0), (0xFFF0, 0xFFF8), (0x1BCA0, 0x1BCA3), (0x1D173, 0x1D17A),
    (0xE0000, 0xE0FFF),
)  # fmt: skip
_INVISIBLE_PATTERN = re.compile(
    "[" + "".join(f"{chr(low)}-{chr(high)}" for low, high in DEFAULT_IGNORABLE) + "]"
)
_EQUIVALENT_MARKS = {
    "'": "`´ʹʻʼʽˈˊˋ‘’‚‛′‵＇｀",  # noqa: RUF001  # they are what is meant
    '"': "“”„‟″‶«»〝〞＂",  # noqa: RUF001  # as above
    "-": "‐‑‒–—―−⁃﹘﹣－",  # noqa: RUF001  # as above
}
_MARK_REPLACEMENTS = str.maketrans(
    {mark: plain for plain, marks in _EQUIVALENT_MARKS.items() for mark in marks}
)


def clean_text(text: str) -> str | None:
    """Return `text` trimmed and in NFC, or None if it has control, format (bidi) or unpaired characters."""
    if text.isascii():
        return text.strip() if text.isprintable() else None
    if any(map(_is_forbidden, remove_joiners(text))):
        return None
    return unicodedata.normalize("NFC", text).strip()


def clean_name(text: str) -> str | None:
    """Return `text` like `clean_text`, or None also if it contains any invisible character."""
    name = clean_text(text)
    return None if name is None or _INVISIBLE_PATTERN.search(name) else name


def remove_joiners(text: str) -> str:
    """Return `text` without joiners, which are invisible."""
    return text.translate(_JOINER_REMOVAL)


def remove_invisible(text: str) -> str:
    """Return `text` without invisible characters, for names stored before these were rejected."""
    return text if text.isascii() else _INVISIBLE_PATTERN.sub("", text)


def replace_unprintable(text: str) -> str:
    """Return `text` with a space in place of each unprintable character."""
    return "".join(character if character.isprintable() else " " for character in text)


def label_key(label: str) -> str:
    """Return the form in which equal labels are the same.

    It has single spaces, plain quotes and dashes, and no invisible characters. Case is kept.
    """
    if label.isascii():
        return " ".join(label.replace("`", "'").split())
    composed = unicodedata.normalize("NFC", remove_invisible(label))
    return " ".join(unicodedata.normalize("NFC", composed.translate(_MARK_REPLACEMENTS)).split())


def list_spellings(label: str) -> list[str]:
    """Return the forms in which a label may be stored.

    These are the form of `label_key`, and the label as typed, which earlier versions stored.
    """
    return sorted({label, label_key(label)})


def name_key(name: str) -> str:
    """Return the form in which names are unique: that of labels, with case folded."""
    if name.isascii():
        return label_key(name.lower())
    return label_key(unicodedata.normalize("NFD", remove_invisible(name)).casefold())


def _is_forbidden(character: str) -> bool:
    code = ord(character)
    is_noncharacter = code & 0xFFFE == 0xFFFE or 0xFDD0 <= code <= 0xFDEF
    return is_noncharacter or unicodedata.category(character) in _FORBIDDEN_CATEGORIES
