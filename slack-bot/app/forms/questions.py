"""Build the questions that a person must confirm before an unusual trade is sent.

The id of a question identifies its exact subject: for another value, the question is asked again. The id is
also the id of its block, and the form stores the ids of confirmed questions.
"""

import difflib
import hashlib
from collections.abc import Iterable
from decimal import Decimal
from typing import NamedTuple

from app.forms import fields
from app.forms.numbers import compute_price, format_grouped, format_money, format_plain, format_rounded_money
from app.forms.price import compute_typed_price
from app.forms.text import InvalidName, name_key, parse_symbol
from app.forms.ticket import Draft, Holding, Side, Ticket, Trade

MAX_NEAREST = 3
MIN_LIKENESS = 0.6  # similarity of two names, between 0 and 1
ID_CHARACTERS = 20


class Question(NamedTuple):
    """A confirmation: the subject, the reason, and the text of the checkbox. All texts are plain."""

    id: str
    label: str
    subject: str  # completes "Please check the …", such as "price"
    reason: str
    yes: str


def build_price_id(symbol: str, price: Decimal) -> str:
    """Return the id of the question about this price of this symbol."""
    return f"{fields.PRICE_OK_PREFIX}{symbol}:{format_plain(price)}"


def build_typed_price_id(draft: Draft) -> str:
    """Return the id of a question about the price of the current entries. Empty while they are incomplete."""
    price = compute_typed_price(draft)
    try:
        return build_price_id(parse_symbol(draft.symbol), price) if price else ""
    except InvalidName:
        return ""


def build_symbol_id(symbol: str) -> str:
    """Return the id of the question about an unknown symbol."""
    return fields.SYMBOL_OK_PREFIX + symbol


def build_portfolio_id(name: str) -> str:
    """Return the id of the question about a portfolio that does not exist."""
    return fields.PORTFOLIO_OK_PREFIX + _compute_digest(name_key(name))


def build_price_question(ticket: Ticket, reason: str) -> Question:
    """Return the question about an implausible price."""
    yes = f"Yes, {format_plain(ticket.price)} per share is correct"
    return Question(
        build_price_id(ticket.symbol, ticket.price), "Is this price correct?", "price", reason, yes
    )


def build_symbol_question(symbol: str, nearest: Iterable[str]) -> Question:
    """Return the question about a symbol that is not listed and was never traded."""
    reason = f"{symbol} is not a listed instrument, and was never traded here.{_format_suggestion(nearest)}"
    return Question(
        build_symbol_id(symbol), "Trade a new symbol?", "symbol", reason, f"Yes, {symbol} is correct"
    )


def build_portfolio_question(name: str, nearest: Iterable[str]) -> Question:
    """Return the question about a portfolio that the trade would create."""
    reason = f"There is no portfolio named {name}.{_format_suggestion(nearest)}"
    return Question(
        build_portfolio_id(name), "Create a new portfolio?", "portfolio", reason, f"Yes, create {name}"
    )


def build_short_question(ticket: Ticket, holding: Holding) -> Question | None:
    """Return the question about a sale that opens a short position, None if the sale opens none."""
    if ticket.side is not Side.SELL or holding.quantity < 0 or ticket.quantity <= holding.quantity:
        return None
    opened = ticket.quantity - holding.quantity
    short = f"opens a short of {format_grouped(opened)}"
    if holding.quantity > 0:
        realized = format_rounded_money(
            holding.quantity * (ticket.price * holding.rate - holding.average_cost)
        )
        sign = "" if realized.startswith("-") else "+"
        reason = f"Closes {format_grouped(holding.quantity)} (realized {sign}{realized}) and {short}."
    else:
        reason = f"{ticket.portfolio} holds no {ticket.symbol}: this {short}."
    about = _compute_digest(
        ticket.symbol, name_key(ticket.portfolio), format_plain(holding.quantity), format_plain(opened)
    )
    yes = f"Yes, sell {format_grouped(opened)} short"
    return Question(fields.SHORT_OK_PREFIX + about, "Open a short position?", "position", reason, yes)


def build_repeat_question(trade: Trade, placed_at: str) -> Question:
    """Return the question about a trade that the same person placed a moment ago."""
    what = f"{trade.side} {format_grouped(trade.quantity)} {trade.symbol} at {format_money(trade.price)}"
    reason = f"You placed {what} in {trade.portfolio} at {placed_at} ({trade.trade_id})."
    return Question(
        fields.REPEAT_OK_PREFIX + trade.trade_id,
        "Trade it again?",
        "trade",
        reason,
        "Yes, trade it once more",
    )


def is_repeat(ticket: Ticket, trade: Trade) -> bool:
    """Return whether ticket and trade agree in symbol, side, quantity, price and portfolio."""
    return (
        (ticket.symbol, ticket.side.value, ticket.quantity) == (trade.symbol, trade.side, trade.quantity)
        and compute_price(trade.gmv, trade.quantity) == ticket.price
        and name_key(ticket.portfolio) == name_key(trade.portfolio)
    )


def find_nearest_names(typed: str, names: Iterable[str]) -> list[str]:
    """Return up to three existing names that are most similar to the typed name. Case is ignored."""
    by_key = {name_key(name): name for name in names}
    close_matches = difflib.get_close_matches(name_key(typed), by_key, MAX_NEAREST, MIN_LIKENESS)
    return [by_key[key] for key in close_matches]


def _format_suggestion(names: Iterable[str]) -> str:
    *names_before_last, last = [*names] or [""]
    if not last:
        return ""
    return (
        f" Did you mean {', '.join(names_before_last)} or {last}?"
        if names_before_last
        else f" Did you mean {last}?"
    )


def _compute_digest(*parts: str) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:ID_CHARACTERS]
