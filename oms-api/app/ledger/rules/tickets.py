"""What a report of a trade may say: its price and gross market value, its limits, the form of names."""

import unicodedata
from dataclasses import dataclass
from decimal import Decimal
from typing import NamedTuple

from app.errors import FieldError
from app.money import ZERO, product, ratio

NAME_LENGTH = 100
_FORBIDDEN_CATEGORIES = {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"}  # controls, format (bidi) characters, surrogates
_JOINERS = (
    "\u200c\u200d"  # format characters that some scripts and emoji are written with; the bot takes them too
)
_WITHOUT_JOINERS = str.maketrans("", "", _JOINERS)
_PATHS = {".", ".."}  # clients resolve these away before a request is sent


@dataclass(frozen=True, slots=True)
class TradeLimits:
    """The bounds of one trade: units, gross market value and price per unit, all inclusive."""

    max_quantity: Decimal
    max_gmv: Decimal
    min_price: Decimal
    max_price: Decimal


class Report(NamedTuple):
    """An execution that happened, as reported: `gmv` or `price` is given, names are clean."""

    symbol: str
    quantity: Decimal
    gmv: Decimal | None
    price: Decimal | None
    side: str
    portfolio_name: str
    user_id: str | None
    note: str | None


class Valued(NamedTuple):
    """A quantity with its gross market value and the price per unit, each to 8 places."""

    quantity: Decimal
    gmv: Decimal
    price: Decimal


def value_trade(quantity: Decimal, gmv: Decimal | None, price: Decimal | None) -> Valued:
    """Return the trade valued: price = GMV / quantity, or GMV = quantity × price, half-even to 8 places."""
    if gmv is not None:
        return Valued(quantity, gmv, ratio(gmv, quantity))
    known = price if price is not None else ZERO
    return Valued(quantity, product(quantity, known), known)


def trade_errors(trade: Valued, limits: TradeLimits, priced_by: str) -> list[FieldError]:
    """Return what the limits have against the trade; `priced_by` ("gmv" or "price") is the field to blame."""
    errors = []
    if trade.quantity > limits.max_quantity:
        errors.append(_too_much("quantity", "Quantity", limits.max_quantity))
    if trade.gmv > limits.max_gmv:
        errors.append(_too_much(priced_by, "The gross market value", limits.max_gmv))
    elif not (limits.min_price <= trade.price <= limits.max_price):
        message = f"The price per unit must be between {limits.min_price:f} and {limits.max_price:,f}."
        errors.append(FieldError(priced_by, message, "price_out_of_range"))
    elif not trade.gmv:
        errors.append(
            FieldError(priced_by, "The gross market value is too small to book.", "value_too_small")
        )
    return errors


def clean_text(text: str) -> str | None:
    """Return `text` trimmed and in NFC, or None where it holds control, format (bidi) or unpaired
    characters.
    """
    if text.isascii():
        return text.strip() if text.isprintable() else None
    if any(map(_is_forbidden, text.translate(_WITHOUT_JOINERS))):
        return None
    return unicodedata.normalize("NFC", text).strip()


def _is_forbidden(character: str) -> bool:
    code = ord(character)
    is_noncharacter = code & 0xFFFE == 0xFFFE or 0xFDD0 <= code <= 0xFDEF
    return is_noncharacter or unicodedata.category(character) in _FORBIDDEN_CATEGORIES


def portfolio_name_error(name: str) -> str | None:
    """Return the sentence against a cleaned portfolio name, or None."""
    if not name.translate(_WITHOUT_JOINERS).strip() or name in _PATHS:
        return "Give the portfolio a name."
    if len(name) > NAME_LENGTH:
        return f"At most {NAME_LENGTH} characters."
    return "A slash cannot stand in a portfolio's name." if "/" in name else None


def name_key(name: str) -> str:
    """Return the form under which names are unique: case and joiners, which nobody sees, do not count."""
    if name.isascii():
        return name.lower()
    return unicodedata.normalize("NFC", name.translate(_WITHOUT_JOINERS).casefold())


def _too_much(field: str, what: str, most: Decimal) -> FieldError:
    return FieldError(field, f"{what} must be at most {most:,f}.", "too_large")
