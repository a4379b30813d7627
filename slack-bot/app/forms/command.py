"""Parse the text after `/trade`."""

import re
from dataclasses import dataclass
from decimal import Decimal

from app.errors import InvalidCommand
from app.forms.input_normalization import normalize_punctuation
from app.forms.numbers import InvalidAmount, format_plain, parse_amount, parse_quantity
from app.forms.price import describe_ambiguous, resolve_gmv
from app.forms.text import InvalidName, parse_portfolio, parse_symbol, unescape
from app.forms.ticket import MAX_PRICE, MAX_QUANTITY, Draft

TRADE_LINE = re.compile(
    r"(?P<side>buy|sell)\s+(?P<quantity>\S+?(?:\s*(?:shares?|units?))?)(?:\s+of)?"
    r"\s+(?P<symbol>(?!shares?\b|of\b)\S+?)"
    r"(?:\s*(?:@|\sat\s)\s*(?P<price>\S.*?))?(?:\s+in\s+(?P<portfolio>.+))?",
    re.IGNORECASE | re.DOTALL,
)
PORTFOLIO_SEPARATOR = re.compile(r"\s+in\s", re.IGNORECASE)
EXAMPLE = "`/trade buy 100 AAPL @ 175 in Growth`"
POSITIONS_ADVICE = (
    "`/trade` only records trades. `/portfolio` and `/desk positions` show positions, `/trades` shows "
    "trades, and `/desk orders` shows orders."
)
CORRECTION_ADVICE = (
    "A recorded trade cannot be deleted. To offset it, enter the opposite trade with the same quantity and "
    "price, such as `/trade sell 100 AAPL @ 175 in Growth` after a purchase."
)
OTHER_COMMANDS = dict.fromkeys(
    ("positions", "position", "list", "show", "trades", "orders", "portfolio", "portfolios", "history"),
    POSITIONS_ADVICE,
) | dict.fromkeys(("undo", "cancel", "delete", "reverse"), CORRECTION_ADVICE)
MAX_LINE_CHARACTERS = 400  # characters of a command line


@dataclass(frozen=True)
class HelpRequest:
    """The command asks for help."""


def parse_command(text: str) -> Draft | HelpRequest:
    """Return the initial entries of the form for the text after `/trade`. Raises `InvalidCommand`."""
    line = _normalize_line(unescape(text)).strip()
    if len(line) > MAX_LINE_CHARACTERS:
        raise InvalidCommand("That line is too long.")
    if line.casefold() in ("help", "?", "--help"):
        return HelpRequest()
    if not line:
        return Draft()
    if match := TRADE_LINE.fullmatch(line):
        return _parse_full_line(match)
    _refuse_other_commands(line)
    if len(line.split()) > 1 or line.casefold() in ("buy", "sell"):
        raise InvalidCommand(f"That line is not understood. Type it like {EXAMPLE}.")
    return Draft(symbol=_parse_symbol(line))


def _refuse_other_commands(line: str) -> None:
    """Raise `InvalidCommand` with advice for words such as `list`. With a `$`, such a word is a symbol."""
    word = line.split(maxsplit=1)[0]
    if advice := OTHER_COMMANDS.get(word.casefold()):
        raise InvalidCommand(f"{advice} (For a symbol of that name, type `/trade ${word.upper()}`.)")


def _normalize_line(line: str) -> str:
    """Return the line with plain punctuation. The portfolio name after `in` stays as it was typed."""
    before = PORTFOLIO_SEPARATOR.search(line)
    name_start = before.end() if before else len(line)
    return normalize_punctuation(line[:name_start]) + line[name_start:]


def _parse_full_line(match: re.Match[str]) -> Draft:
    try:
        quantity = parse_quantity(match["quantity"], MAX_QUANTITY)
    except InvalidAmount as error:
        raise InvalidCommand(f"Quantity: {error}") from None
    return Draft(
        symbol=_parse_symbol(match["symbol"]),
        quantity=format_plain(quantity),
        price=format_plain(_parse_price(match, quantity)) if match["price"] else "",
        side=match["side"].upper(),
        portfolio=_parse_portfolio(match["portfolio"] or ""),
        read_as=describe_ambiguous(("Quantity", match["quantity"]), ("Price", match["price"] or "")),
    )


def _parse_price(match: re.Match[str], quantity: Decimal) -> Decimal:
    try:
        price = parse_amount(match["price"], MAX_PRICE)
        resolve_gmv(quantity, price, None)
    except InvalidAmount as error:
        raise InvalidCommand(f"Price: {error}") from None
    return price


def _parse_symbol(text: str) -> str:
    try:
        return parse_symbol(text)
    except InvalidName as error:
        raise InvalidCommand(str(error)) from None


def _parse_portfolio(text: str) -> str:
    if not text:
        return ""
    try:
        return parse_portfolio(text)
    except InvalidName as error:
        raise InvalidCommand(str(error)) from None
