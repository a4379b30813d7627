"""Strict JSON parsing: no duplicate names, NaN, unpaired surrogates or unlimited nesting.

Numbers keep their digits.
"""

import json
from collections import Counter
from typing import Any

from app.errors import Malformed


class JsonNumber:
    """A JSON number as text. A binary float would lose digits beyond 15."""

    __slots__ = ("text",)

    def __init__(self, text: str) -> None:
        self.text = text


def parse_json(body: bytes) -> Any:  # any JSON value
    """Parse `body` (UTF-8), with numbers as JsonNumber. Raises Malformed with the reason."""
    try:
        text = body.decode()
        value = _DECODER.decode(text)
    except UnicodeDecodeError:
        raise Malformed("The body is not UTF-8; encode it as UTF-8.") from None
    except RecursionError:
        raise Malformed("The body is nested too deeply; send a flatter one.") from None
    except json.JSONDecodeError as error:
        raise Malformed(f"The body is not JSON: {error.msg} at character {error.pos}; correct it.") from None
    if "\\u" in text:
        _validate_no_surrogates(text, value)
    return value


def _validate_no_surrogates(text: str, value: object) -> None:
    if "\\ud" in text.lower():
        try:
            json.dumps(value, ensure_ascii=False, default=lambda number: number.text).encode()
        except UnicodeEncodeError:
            raise Malformed("The body contains an unpaired surrogate; send valid Unicode text.") from None
        except RecursionError:
            raise Malformed("The body is nested too deeply; send a flatter one.") from None


def _build_object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        twice, _ = Counter(name for name, _ in pairs).most_common(1)[0]
        raise Malformed(f"The name {twice[:50]!r} occurs twice in one object; send it once.")
    return members


def _reject_constant(word: str) -> None:
    raise Malformed(f"{word} is not a JSON number; send a decimal number.")


_DECODER = json.JSONDecoder(
    object_pairs_hook=_build_object,
    parse_float=JsonNumber,
    parse_int=JsonNumber,
    parse_constant=_reject_constant,
)
