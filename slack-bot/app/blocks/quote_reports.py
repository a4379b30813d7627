"""Build the replies that show quotes."""

from collections.abc import Sequence
from typing import NamedTuple

from app.blocks.replies import Reply, build_sentence_reply
from app.blocks.text import escape
from app.forms.day_change import DayChange, format_day_change
from app.forms.numbers import format_money
from app.forms.portfolio_values import QuoteDetail
from app.forms.price import format_duration


class QuoteLine(NamedTuple):
    """A symbol with its quote and how it changed today, None if not known."""

    symbol: str
    quote: QuoteDetail | None
    change: DayChange | None = None


def build_quotes_reply(quotes: Sequence[QuoteLine]) -> Reply:
    """Return quotes, a line for each symbol."""
    return build_sentence_reply("\n".join(map(_describe_quote, quotes)))


def _describe_quote(line: QuoteLine) -> str:
    quote = line.quote
    if quote is None:
        return f"*{escape(line.symbol)}* has no quote."
    sides = [("bid", quote.bid), ("ask", quote.ask), ("last", quote.last)]
    prices = " · ".join(f"{name} {format_money(value)}" for name, value in sides if value is not None)
    age = format_duration(quote.age_seconds)
    parts = [prices or "no price", format_day_change(line.change), f"{age} old, {escape(quote.source)}"]
    return f"*{escape(quote.symbol)}* {' · '.join(fact for fact in parts if fact)}"
