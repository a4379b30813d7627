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
_OPENING_BRACE, _CLOSING_BRACE = "{", "}"


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

    Words are separated by white space. A word of the template in braces is a field. Every other word must be
    in the text, in any case: "{side} {symbol} at {price}" reads "buy AAPL at 175".
    """
    template_parts, text_parts = template.split(), text.split()
    if len(template_parts) != len(text_parts):
        return None
    values: dict[str, str] = {}
    for template_part, text_part in zip(template_parts, text_parts, strict=True):
        field = _find_field(template_part)
        if field is not None:
            values[field] = text_part
        elif template_part.casefold() != text_part.casefold():
            return None
    return values


def map_fields(paths: Mapping[str, str], payload: Mapping[str, Any]) -> dict[str, Any]:
    """Return our fields of a JSON object by their paths in it, such as "strategy.order.action".

    Fields whose path is missing are left out.
    """
    values = {}
    for field, path in paths.items():
        value: Any = payload
        for part in path.split("."):
            value = value.get(part) if isinstance(value, Mapping) else None
        if value is not None:
            values[field] = value
    return values


def _find_field(word: str) -> str | None:
    is_field = (
        len(word) > len(_OPENING_BRACE + _CLOSING_BRACE)
        and word.startswith(_OPENING_BRACE)
        and word.endswith(_CLOSING_BRACE)
    )
    return word[1:-1] if is_field else None
