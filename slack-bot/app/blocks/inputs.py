"""Build input blocks and their elements."""

from decimal import Decimal
from typing import Any

from app.blocks.text import Json, build_mrkdwn, build_plain_text
from app.forms.numbers import format_plain
from app.forms.ticket import MIN_AMOUNT

DISPATCH_ON_TYPING = {"dispatch_action_config": {"trigger_actions_on": ["on_character_entered"]}}


def build_input(
    block_id: str,
    label: str,
    element: Json,
    *,
    is_live: bool = False,
    is_optional: bool = False,
    hint: str = "",
) -> Json:
    """Return an input block. With `is_live`, Slack sends the bot every change of the entry."""
    block: Json = {
        "type": "input",
        "block_id": block_id,
        "label": build_plain_text(label),
        "element": element,
    }
    if is_live:
        block["dispatch_action"] = True
    if is_optional:
        block["optional"] = True
    if hint:
        block["hint"] = build_plain_text(hint)
    return block


def build_text_input(action_id: str, initial: str, placeholder: str, longest: int) -> Json:
    """Return an input of plain text with at most `longest` characters."""
    element: Json = {"type": "plain_text_input", "action_id": action_id, "max_length": longest}
    return (
        element
        | omit_empty("placeholder", build_plain_text(placeholder) if placeholder else None)
        | omit_empty("initial_value", initial)
    )


def build_number_input(action_id: str, initial: str, largest: Decimal) -> Json:
    """Return an input of a positive decimal number."""
    element: Json = {
        "type": "number_input",
        "action_id": action_id,
        "is_decimal_allowed": True,
        "min_value": format_plain(MIN_AMOUNT),
        "max_value": format_plain(largest),
    } | DISPATCH_ON_TYPING
    return element | omit_empty("initial_value", initial)


def build_context_line(block_id: str, text: str) -> Json:
    """Return a line of small text in mrkdwn."""
    return {"type": "context", "block_id": block_id, "elements": [build_mrkdwn(text)]}


def omit_empty(name: str, value: Any) -> Json:
    """Return a dictionary with the property, empty if the value is empty."""
    return {name: value} if value else {}
