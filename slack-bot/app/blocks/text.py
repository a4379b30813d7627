"""Build text objects for Slack: escaped, and truncated to Slack's limits."""

from collections.abc import Iterable
from itertools import accumulate
from typing import Any

Json = dict[str, Any]

MAX_SECTION_CHARACTERS = 3000
MAX_SECTIONS_CHARACTERS = 11_000  # of a list of sections; Slack accepts 12,000 in the blocks of a message
MAX_OPTION_TEXT_CHARACTERS = 75
MAX_OPTION_VALUE_CHARACTERS = 150
MAX_OPTIONS = 100
BACKTICK_REPLACEMENT = "\u02cb"


def escape(text: str) -> str:
    """Escape text from people or the OMS for mrkdwn, so that it creates no link, mention or notification."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def format_code(text: str) -> str:
    """Escape text for a `format_code` span. Replace its backticks, because a backtick ends the span."""
    return "`" + escape(text).replace("`", BACKTICK_REPLACEMENT) + "`"


def format_literal(text: str) -> str:
    """Escape text and prevent Slack from applying emphasis to it."""
    return escape(
        "".join(f"\u2060{character}\u2060" if character in "*_~`" else character for character in text)
    )


def truncate(text: str, limit: int) -> str:
    """Return the text, truncated to `limit` characters with an ellipsis."""
    return text if len(text) <= limit else text[: limit - 1].rstrip() + "…"


def build_plain_text(text: str) -> Json:
    """Return a text object without markup."""
    return {"type": "plain_text", "text": text, "emoji": False}


def build_mrkdwn(text: str) -> Json:
    """Return a text object with markup. The caller escapes text from outside."""
    return {"type": "mrkdwn", "text": text, "verbatim": True}


def build_section(text: str, block_id: str | None = None) -> Json:
    """Return a section with one text, truncated to 3,000 characters."""
    block: Json = {"type": "section", "text": build_mrkdwn(truncate(text, MAX_SECTION_CHARACTERS))}
    return block | ({"block_id": block_id} if block_id else {})


def build_option(text: str, value: str) -> Json:
    """Return an option. `value` is not truncated: the caller passes at most 150 characters."""
    return {"text": build_plain_text(truncate(text, MAX_OPTION_TEXT_CHARACTERS)), "value": value}


def count_fitting(texts: Iterable[str], limit: int = MAX_SECTIONS_CHARACTERS) -> int:
    """Return how many of the first texts have at most `limit` characters together."""
    return sum(total <= limit for total in accumulate(map(len, texts)))
