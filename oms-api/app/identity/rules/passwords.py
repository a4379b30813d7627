"""Password policy: a minimum length, no common password, and not the user's own name.

There are no composition rules and no expiry (NIST SP 800-63B; OWASP ASVS 5.0, chapter 6.2).
"""

import re
import unicodedata
from collections.abc import Iterable, Iterator

from app.errors import FieldError

MIN_LENGTH, RECOMMENDED_LENGTH, MAX_LENGTH = 8, 15, 1024
ADVICE = f"{RECOMMENDED_LENGTH} or more, several words that have nothing to do with each other, are better."
_MAX_ADDED_CHARACTERS = 4  # "dragon2024" counts as "dragon"
_MAX_NUMBER_DIGITS = 10  # a date or a telephone number
_OWN_WORD = re.compile(r"[^\W_]{3,}")
_REPEATED = re.compile(r"(.{1,4}?)\1+.{0,3}", re.DOTALL)
_LETTERS_BY_LOOKALIKE = str.maketrans("013457@$!", "oieastasi")
_CHARACTER_ROWS = (
    "abcdefghijklmnopqrstuvwxyz",
    "01234567890",
    "qwertyuiop",
    "qwertzuiop",
    "azertyuiop",
    "asdfghjkl",
)
_CHARACTER_RUNS = tuple(
    run for row in (*_CHARACTER_ROWS, "zxcvbnm", "1qaz2wsx3edc4rfv5tgb6yhn7ujm") for run in (row, row[::-1])
)
_MIN_RUN_LENGTH = 4


def normalize_password(password: str) -> str:
    """Return the password in NFC (as RFC 8265), the form that is hashed.

    The same keys produce composed letters on one machine and decomposed ones on another. Nothing is trimmed,
    case-folded or cut.
    """
    return unicodedata.normalize("NFC", password)


def find_password_error(
    password: str, personal_texts: Iterable[str], common: frozenset[str]
) -> FieldError | None:
    """Return the error of a new password in one sentence, or None.

    `personal_texts` are the user's name, e-mail address and the like. `common` are common passwords in lower
    case. Lengths are in characters after normalization.
    """
    normalized = normalize_password(password)
    if len(normalized) < MIN_LENGTH:
        return _build_error(f"Must have at least {MIN_LENGTH} characters; {ADVICE}", "password_too_short")
    if len(normalized) > MAX_LENGTH:
        return _build_error(f"At most {MAX_LENGTH:,} characters.", "password_too_long")
    folded_password = normalized.casefold()
    if is_common(folded_password, common):
        return _build_error(f"Is a common password; {ADVICE}", "password_common")
    if len(_remove_own_words(folded_password, personal_texts)) < MIN_LENGTH:
        return _build_error(f"Must not be derived from your own name or address; {ADVICE}", "password_own")
    return None


def is_common(folded_password: str, common: frozenset[str]) -> bool:
    """Return whether a case-folded password is a variation of a common word, or a keyboard pattern."""
    if folded_password.isdigit() and len(folded_password) <= _MAX_NUMBER_DIGITS:
        return True
    if _REPEATED.fullmatch(folded_password) or _consists_of_runs(folded_password):
        return True
    return any(
        core in common or core.translate(_LETTERS_BY_LOOKALIKE) in common
        for core in _list_cores(folded_password)
    )


def _list_cores(text: str) -> Iterator[str]:
    """Yield the words that the text may be a variation of: itself, its half, and the part between signs."""
    half = text[: len(text) // 2]
    yield half if text == half + half else text
    for before in range(_MAX_ADDED_CHARACTERS + 1):
        for after in range(_MAX_ADDED_CHARACTERS + 1 - before):
            end = len(text) - after
            if not any(map(str.isalpha, text[:before] + text[end:])):
                yield text[before:end]


def _consists_of_runs(folded_password: str) -> bool:
    """Return whether the text consists of runs, except for a few signs.

    A run follows the keyboard, the alphabet or the digits.
    """
    remaining_text = folded_password
    while len(remaining_text) >= _MIN_RUN_LENGTH:
        run = _find_longest_run(remaining_text)
        if not run:
            return False
        remaining_text = remaining_text[run:]
    return True


def _find_longest_run(text: str) -> int:
    for length in range(min(len(text), 28), _MIN_RUN_LENGTH - 1, -1):
        if any(text[:length] in row for row in _CHARACTER_RUNS):
            return length
    return 0


def _remove_own_words(folded_password: str, personal_texts: Iterable[str]) -> str:
    personal_words = {
        word for text in personal_texts for word in _OWN_WORD.findall(normalize_password(text).casefold())
    }
    for word in sorted(personal_words, key=len, reverse=True):
        folded_password = folded_password.replace(word, "")
    return folded_password


def _build_error(message: str, code: str) -> FieldError:
    return FieldError("password", message, code)
