"""Read the messages of hooks by a template: JSON with other names, or plain text."""

from collections.abc import Mapping
from typing import Any

FIELDS = frozenset(
    {
        "symbol",
        "side",
        "qty",
        "notional",
        "percent_of_equity",
        "target_position",
        "close",
        "price",
        "reason",
        "strategy",
        "portfolio",
        "id",
        "expires_at",
        "time",
    }
)
_OPEN, _CLOSE = "{", "}"


def find_template_problem(template: str) -> str | None:
    """Return why a text is not a template: a field that is unknown or occurs twice, or no field at all."""
    fields = [name for name in map(_find_field, template.split()) if name is not None]
    unknown = sorted(set(fields) - FIELDS)
    if unknown:
        return f"Unknown field `{unknown[0]}`."
    if len(set(fields)) < len(fields):
        return "A template can contain each field only once."
    return None if fields else "A template must contain at least one field, such as `{symbol}`."


def parse_text(template: str, text: str) -> dict[str, str] | None:
    """Return the fields of a text, None if it does not fit the template.

    Words are separated by white space. A word of the template in braces is a field, any other must be in the
    text, in any case: "{side} {symbol} at {price}" reads "buy AAPL at 175".
    """
    names, words = template.split(), text.split()
    if len(names) != len(words):
        return None
    values: dict[str, str] = {}
    for name, word in zip(names, words, strict=True):
        field = _find_field(name)
        if field is not None:
            values[field] = word
        elif name.casefold() != word.casefold():
            return None
    return values


def map_fields(paths: Mapping[str, str], payload: Mapping[str, Any]) -> dict[str, Any]:
    """Return our fields of a JSON object by their paths in it, such as "strategy.order.action".

    Fields whose path is missing are left out.
    """
    values = {}
    for field, path in paths.items():
        found: Any = payload
        for part in path.split("."):
            found = found.get(part) if isinstance(found, Mapping) else None
        if found is not None:
            values[field] = found
    return values


def _find_field(word: str) -> str | None:
    is_field = len(word) > len(_OPEN + _CLOSE) and word.startswith(_OPEN) and word.endswith(_CLOSE)
    return word[1:-1] if is_field else None
