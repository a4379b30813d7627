"""The choices of the portfolio field."""

from collections.abc import Iterable

from app.blocks.text import OPTION_VALUE_CHARACTERS, OPTIONS_AT_MOST, Json, option
from app.forms.text import NotAName, parse_portfolio

NEW = "New portfolio: "


def portfolio_options(names: Iterable[str], typed: str) -> list[Json]:
    """Return the existing names, and what was typed if it is none of them; values are bare names."""
    existing = [name for name in names if 0 < len(name) <= OPTION_VALUE_CHARACTERS]
    fresh = _new_name(existing, typed)
    new = [option(NEW + fresh, fresh)] if fresh else []
    return [*(option(name, name) for name in existing[: OPTIONS_AT_MOST - len(new)]), *new]


def _new_name(existing: list[str], typed: str) -> str:
    try:
        name = parse_portfolio(typed)
    except NotAName:
        return ""
    return "" if name.casefold() in {each.casefold() for each in existing} else name
