"""Amounts as people type them, and as they are written back. Decimal only: no float ever holds money."""

import re
from decimal import ROUND_HALF_EVEN, Decimal, localcontext

PLACES = Decimal("0.00000001")
WIDE = 60  # digits: a product of two amounts is exact before it is rounded
DIGITS_AT_MOST = 17  # 9 before the point for the largest amount, 8 after it
PLAIN = re.compile(r"([0-9]+|[0-9]{1,3}(?:,[0-9]{3})+)(\.[0-9]*)?|\.[0-9]+", re.ASCII)


class NotAnAmount(ValueError):
    """What was typed is no positive decimal number; the message is a sentence for the person."""


def parse_amount(text: str, largest: Decimal) -> Decimal:
    """Return the positive amount that `text` writes (`1,000.50` and `$175` are understood).

    Raises `NotAnAmount` for exponents, signs, NaN, non-ASCII digits, over 8 decimals, zero, over `largest`.
    """
    typed = text.strip().removeprefix("$").strip()
    if not typed:
        raise NotAnAmount("Enter a number.")
    _refuse_odd_writing(typed)
    digits = typed.replace(",", "")
    _, _, decimals = digits.partition(".")
    if len(decimals.rstrip("0")) > 8:
        raise NotAnAmount("Use at most 8 decimal places.")
    if len(digits.strip("0").replace(".", "")) > DIGITS_AT_MOST:
        raise NotAnAmount(f"That number is too long: the largest is {grouped(largest)}.")
    return _within(Decimal(digits), largest)


def _refuse_odd_writing(typed: str) -> None:
    if PLAIN.fullmatch(typed):
        return
    if typed[0] in "-−":
        raise NotAnAmount(
            "Enter a number above zero, without a sign: the side says whether it is bought or sold."
        )
    if not typed.isascii():
        raise NotAnAmount("Use the digits 0 to 9 only.")
    if re.fullmatch(r"[0-9.,]+[eE][+-]?[0-9]+", typed):
        raise NotAnAmount("Write the number out, without an exponent: 1000 instead of 1e3.")
    raise NotAnAmount("Enter a plain number, such as 100 or 1,000.50.")


def _within(value: Decimal, largest: Decimal) -> Decimal:
    if value <= 0:
        raise NotAnAmount("Enter a number above zero.")
    if value > largest:
        raise NotAnAmount(f"The largest that can be traded is {grouped(largest)}.")
    return value


def to_amount(value: Decimal) -> Decimal:
    """Round to 8 places, half to even: what the ledger stores."""
    with localcontext(prec=WIDE):
        return value.quantize(PLACES, rounding=ROUND_HALF_EVEN)


def times(quantity: Decimal, price: Decimal) -> Decimal:
    """Return quantity × price, rounded to 8 places."""
    with localcontext(prec=WIDE):
        return to_amount(quantity * price)


def per_share(gmv: Decimal, quantity: Decimal) -> Decimal:
    """Return GMV / quantity, the price per share, rounded to 8 places."""
    with localcontext(prec=WIDE):
        return to_amount(gmv / quantity)


def plain(value: Decimal) -> str:
    """Write an amount without exponent, grouping or trailing zeros, as a number field takes it."""
    text = format(value, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def grouped(value: Decimal) -> str:
    """Write an amount for people, grouped by thousands: 1,000 or 0.5."""
    whole, _, decimals = plain(value).partition(".")
    sign = "-" if whole.startswith("-") else ""
    text = f"{sign}{int(whole.lstrip('-') or '0'):,}"
    return f"{text}.{decimals}" if decimals else text


def money(value: Decimal) -> str:
    """Write money for people, grouped, with two decimals at least: 17,500.00 or 3.33333333."""
    whole, _, decimals = grouped(value).partition(".")
    return f"{whole}.{decimals:0<2}"
