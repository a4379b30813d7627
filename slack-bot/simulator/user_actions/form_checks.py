"""Check a form before it is sent: required fields, lengths, numbers."""

import re
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from simulator.blockkit.surfaces import Block
from simulator.blockkit.values import Values, is_empty

REQUIRED = "Please complete this required field."
NUMBER = re.compile(r"-?(\d+\.?\d*|\.\d+)", re.ASCII)
EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")
LINK = re.compile(r"https?://\S+")
Complaint = Callable[[Block, Any], str]


def check_values(blocks: list[Block], values: Values) -> dict[str, str]:
    """Return a sentence per input block with an invalid value. Empty if all are valid."""
    complaints = {
        block["block_id"]: _find_error(block, values) for block in blocks if block["type"] == "input"
    }
    return {block_id: sentence for block_id, sentence in complaints.items() if sentence}


def _find_error(block: Block, values: Values) -> str:
    element = block["element"]
    state = values.get(block["block_id"], {}).get(element["action_id"])
    if state is None:
        return ""
    if is_empty(state):
        return "" if block.get("optional") else REQUIRED
    check = CHECKS.get(element["type"])
    return check(element, state.get("value") or state.get("selected_options")) if check else ""


def _check_text(element: Block, value: str) -> str:
    low = element.get("min_length", 0)
    high = element.get("max_length", 3_000)
    if len(value) < low:
        return f"Please enter at least {low} characters."
    return f"Please enter at most {high} characters." if len(value) > high else ""


def _check_number(element: Block, value: str) -> str:
    if not NUMBER.fullmatch(value):
        return "Please enter a number."
    if "." in value and not element["is_decimal_allowed"]:
        return "Please enter a whole number."
    low = element.get("min_value")
    high = element.get("max_value")
    if low is not None and Decimal(value) < Decimal(low):
        return f"Please enter a number that is at least {low}."
    return f"Please enter a number that is at most {high}." if high and Decimal(value) > Decimal(high) else ""


def _check_email(_element: Block, value: str) -> str:
    return "" if EMAIL.fullmatch(value) else "Please enter an email address."


def _check_link(_element: Block, value: str) -> str:
    return "" if LINK.fullmatch(value) else "Please enter a link that begins with http."


def _check_count(element: Block, value: list[Any]) -> str:
    most = element.get("max_selected_items")
    return f"Please choose at most {most}." if most and len(value) > most else ""


CHECKS: dict[str, Complaint] = {
    "plain_text_input": _check_text,
    "number_input": _check_number,
    "email_text_input": _check_email,
    "url_text_input": _check_link,
    "multi_static_select": _check_count,
    "multi_external_select": _check_count,
}
