"""Text in Slack's markup: escaped, and cut to what Slack takes, with the cutting said."""

from typing import Any

Json = dict[str, Any]

SECTION_CHARACTERS = 3000
OPTION_TEXT_CHARACTERS = 75
OPTION_VALUE_CHARACTERS = 150
OPTIONS_AT_MOST = 100
LIKE_A_BACKTICK = "\u02cb"


def escape(text: str) -> str:
    """Make text that people or the OMS supply harmless in mrkdwn: no link, mention or ping comes of it."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def code(text: str) -> str:
    """Escape text for a `code` span; a backtick of its own would end it, so it is replaced."""
    return "`" + escape(text).replace("`", LIKE_A_BACKTICK) + "`"


def literal(text: str) -> str:
    """Escape text and keep Slack's emphasis characters from styling it."""
    return escape("".join(f"\u2060{each}\u2060" if each in "*_~`" else each for each in text))


def cut(text: str, limit: int) -> str:
    """Return the text, shortened to `limit` characters with an ellipsis if it is longer."""
    return text if len(text) <= limit else text[: limit - 1].rstrip() + "…"


def plain_text(text: str) -> Json:
    """Return a text object without markup."""
    return {"type": "plain_text", "text": text, "emoji": False}


def mrkdwn(text: str) -> Json:
    """Return a text object with markup; the caller has escaped what is not its own."""
    return {"type": "mrkdwn", "text": text, "verbatim": True}


def section(text: str, block_id: str | None = None) -> Json:
    """Return a section of one text, cut to 3,000 characters."""
    block: Json = {"type": "section", "text": mrkdwn(cut(text, SECTION_CHARACTERS))}
    return block | ({"block_id": block_id} if block_id else {})


def option(text: str, value: str) -> Json:
    """Return a choice; the value is the caller's, whole (150 characters at most)."""
    return {"text": plain_text(cut(text, OPTION_TEXT_CHARACTERS)), "value": value}
