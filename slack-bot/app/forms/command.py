"""Parse the text after `/trade`."""

import re
from dataclasses import dataclass
from decimal import Decimal

from app.errors import BadCommand
from app.forms.input_normalization import keyed
from app.forms.numbers import NotAnAmount, parse_amount, parse_quantity, plain
from app.forms.price import read_as, resolve_gmv
from app.forms.text import NotAName, parse_portfolio, parse_symbol, unescape
from app.forms.ticket import MAX_PRICE, MAX_QUANTITY, Draft

LINE = re.compile(
    r"(?P<side>buy|sell)\s+(?P<quantity>\S+?(?:\s*(?:shares?|units?))?)(?:\s+of)?"
    r"\s+(?P<symbol>(?!shares?\b|of\b)\S+?)"
    r"(?:\s*(?:@|\sat\s)\s*(?P<price>\S.*?))?(?:\s+in\s+(?P<portfolio>.+))?",
    re.IGNORECASE | re.DOTALL,
)
IN = re.compile(r"\s+in\s", re.IGNORECASE)
EXAMPLE = "`/trade buy 100 AAPL @ 175 in Growth`"
LOOK = (
    "`/trade` enters trades only. Every confirmation names the position after it; all positions and trades "
    "are in the trading system."
)
UNDO = (
    "A recorded trade stands. To undo it, type the opposite one with the same quantity and price, such as "
    "`/trade sell 100 AAPL @ 175 in Growth` after a purchase."
)
OTHER_WISHES = dict.fromkeys(
    ("positions", "position", "list", "show", "trades", "orders", "portfolio", "portfolios", "history"), LOOK
) | dict.fromkeys(("undo", "cancel", "delete", "reverse"), UNDO)
LONGEST = 400  # characters of a command line


@dataclass(frozen=True)
class HelpWanted:
    """The command asks for help."""


def parse_command(text: str) -> Draft | HelpWanted:
    """Return the initial entries of the form for the text after `/trade`. Raises `BadCommand`."""
    line = _plain(unescape(text)).strip()
    if len(line) > LONGEST:
        raise BadCommand("That line is too long.")
    if line.casefold() in ("help", "?", "--help"):
        return HelpWanted()
    if not line:
        return Draft()
    if found := LINE.fullmatch(line):
        return _full_line(found)
    _answer_other_wishes(line)
    if len(line.split()) > 1 or line.casefold() in ("buy", "sell"):
        raise BadCommand(f"That line is not understood. Type it like {EXAMPLE}.")
    return Draft(symbol=_symbol(line))


def _answer_other_wishes(line: str) -> None:
    """Raise `BadCommand` with advice for words such as `list`. With a `$`, such a word is a symbol."""
    word = line.split(maxsplit=1)[0]
    if said := OTHER_WISHES.get(word.casefold()):
        raise BadCommand(f"{said} (For a symbol of that name, type `/trade ${word.upper()}`.)")


def _plain(line: str) -> str:
    """Return the line with plain punctuation. The portfolio name after `in` stays as it was typed."""
    before = IN.search(line)
    return keyed(line[: before.end()]) + line[before.end() :] if before else keyed(line)


def _full_line(found: re.Match[str]) -> Draft:
    try:
        quantity = parse_quantity(found["quantity"], MAX_QUANTITY)
    except NotAnAmount as fault:
        raise BadCommand(f"Quantity: {fault}") from None
    return Draft(
        symbol=_symbol(found["symbol"]),
        quantity=plain(quantity),
        price=plain(_price(found, quantity)) if found["price"] else "",
        side=found["side"].upper(),
        portfolio=_portfolio(found["portfolio"] or ""),
        read_as=read_as(("Quantity", found["quantity"]), ("Price", found["price"] or "")),
    )


def _price(found: re.Match[str], quantity: Decimal) -> Decimal:
    try:
        price = parse_amount(found["price"], MAX_PRICE)
        resolve_gmv(quantity, price, None)
    except NotAnAmount as fault:
        raise BadCommand(f"Price: {fault}") from None
    return price


def _symbol(text: str) -> str:
    try:
        return parse_symbol(text)
    except NotAName as fault:
        raise BadCommand(str(fault)) from None


def _portfolio(text: str) -> str:
    if not text:
        return ""
    try:
        return parse_portfolio(text)
    except NotAName as fault:
        raise BadCommand(str(fault)) from None
