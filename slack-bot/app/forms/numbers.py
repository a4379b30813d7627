"""Parse and format amounts. All amounts are Decimal, never float."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from decimal import ROUND_HALF_EVEN, Decimal, localcontext

from app.forms.input_normalization import strip_quotes

DECIMAL_UNIT = Decimal("0.00000001")
PRECISION_DIGITS = 60  # digits of precision: a product of two amounts is exact before it is rounded
MAX_DIGITS = 17  # 9 before the decimal point for the largest amount, and 8 after it
# Groups of three digits, or Indian groups (1,00,000). The first group has no leading 0: `0,001` is invalid.
AMOUNT_FORMAT = re.compile(
    r"(?:[0-9]+|[1-9][0-9]{0,2}(?:,[0-9]{3})+|[1-9][0-9]?(?:,[0-9]{2})+,[0-9]{3})(?:\.[0-9]*)?|\.[0-9]+",
    re.ASCII,
)
AMBIGUOUS_NUMBER = re.compile(
    r"[1-9][0-9]{0,2}[.,][0-9]{3}", re.ASCII
)  # thousands in some countries, decimals in others
CURRENCY = r"[$₹€£¥]|(?i:(?:US|A|C|S)\$|USDT?|INR|Rs\.?|EUR|GBP|JPY|CHF|AUD|CAD|SGD|HKD)"
WITH_CURRENCY = re.compile(rf"(?:(?:{CURRENCY})\s*)?(.*?)(?:\s*(?:{CURRENCY}))?", re.DOTALL)
UNITS = re.compile(r"(.*?)\s*(?:shares?|units?)", re.IGNORECASE | re.DOTALL)

_HAS_DECIMAL_COMMA: ContextVar[bool] = ContextVar("has_decimal_comma", default=False)
_SWAPPED = str.maketrans(",.", ".,")


class InvalidAmount(ValueError):
    """Raised when the text is not a positive decimal number. The message is a sentence for the person."""


def parse_amount(text: str, largest: Decimal) -> Decimal:
    """Return the positive amount of a text such as `1,000.50`, `1,00,000`, `$175` or `175 USD`.

    Raises `InvalidAmount` for exponents, signs, NaN, digits that are not ASCII, more than 8 decimals, zero,
    and amounts over `largest`.
    """
    typed = _strip_currency(text)
    if not typed:
        raise InvalidAmount("Enter a number.")
    _check_format(typed)
    digits = typed.replace(",", "")
    _, _, decimals = digits.partition(".")
    if len(decimals.rstrip("0")) > 8:
        raise InvalidAmount("Use at most 8 decimal places.")
    if len(digits.strip("0").replace(".", "")) > MAX_DIGITS:
        raise InvalidAmount(f"That number is too long: the largest is {format_grouped(largest)}.")
    return _check_range(Decimal(digits), largest)


def parse_quantity(text: str, largest: Decimal) -> Decimal:
    """Return the positive quantity of a text such as `1,000` or `10 shares`.

    Raises `InvalidAmount`, also for an amount of money such as `$100`.
    """
    typed = strip_quotes(text)
    counted = UNITS.fullmatch(typed)
    typed = counted[1] if counted else typed
    if _strip_currency(typed) != strip_quotes(typed):
        raise InvalidAmount("Enter a number of units, without a currency.")
    return parse_amount(typed, largest)


def is_ambiguous(text: str) -> bool:
    """Return whether countries read the number differently, such as `1,125` or `1.000`."""
    return AMBIGUOUS_NUMBER.fullmatch(_strip_currency(text)) is not None


def _strip_currency(text: str) -> str:
    """Return the text without currency signs."""
    match = WITH_CURRENCY.fullmatch(strip_quotes(text))
    return match[1].strip() if match else ""


def _check_format(typed: str) -> None:
    if AMOUNT_FORMAT.fullmatch(typed):
        return
    if typed[0] == "-":
        raise InvalidAmount(
            "Enter a number above zero, without a sign: the side says whether it is bought or sold."
        )
    if not typed.isascii():
        raise InvalidAmount("Use the digits 0 to 9 only.")
    if re.fullmatch(r"[0-9.,]+[eE][+-]?[0-9]+", typed):
        raise InvalidAmount("Write the number out, without an exponent: 1000 instead of 1e3.")
    if re.fullmatch(r"[0-9]+,[0-9]+", typed):
        raise InvalidAmount("Write decimals with a point: 0.5. A comma groups thousands: 1,000.")
    raise InvalidAmount("Enter a plain number, such as 100 or 1,000.50.")


def format_rounded_money(value: Decimal) -> str:
    """Format money rounded half to even to two decimals: 1,234.50 or -0.33."""
    with localcontext(prec=PRECISION_DIGITS):
        cents = value.quantize(Decimal("0.01"), rounding=ROUND_HALF_EVEN)
    return format_money(cents or Decimal(0))


def _check_range(value: Decimal, largest: Decimal) -> Decimal:
    if value <= 0:
        raise InvalidAmount("Enter a number above zero.")
    if value > largest:
        raise InvalidAmount(f"The largest that can be traded is {format_grouped(largest)}.")
    return value


def to_amount(value: Decimal) -> Decimal:
    """Round half to even to 8 decimals, the precision of the ledger."""
    with localcontext(prec=PRECISION_DIGITS):
        return value.quantize(DECIMAL_UNIT, rounding=ROUND_HALF_EVEN)


def compute_gmv(quantity: Decimal, price: Decimal) -> Decimal:
    """Return quantity × price, rounded to 8 decimals."""
    with localcontext(prec=PRECISION_DIGITS):
        return to_amount(quantity * price)


def compute_price(gmv: Decimal, quantity: Decimal) -> Decimal:
    """Return GMV / quantity, the price per share, rounded to 8 decimals."""
    with localcontext(prec=PRECISION_DIGITS):
        return to_amount(gmv / quantity)


def format_plain(value: Decimal) -> str:
    """Format an amount for a number field: without exponent, grouping or trailing zeros."""
    text = format(value, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def format_grouped(value: Decimal) -> str:
    """Format an amount with groups of thousands: 1,000 or 0.5."""
    whole, _, decimals = format_plain(value).partition(".")
    return _localize_separators(_group_digits(whole) + (f".{decimals}" if decimals else ""))


def format_money(value: Decimal) -> str:
    """Format money with groups of thousands and at least two decimals: 17,500.00 or 3.33333333."""
    whole, _, decimals = format_plain(value).partition(".")
    return _localize_separators(f"{_group_digits(whole)}.{decimals:0<2}")


def format_with_decimals(value: Decimal) -> str:
    """Format an amount with groups of thousands and the decimals that it has: 1,000 or 200.50."""
    whole, _, decimals = format(value, "f").partition(".")
    return _localize_separators(_group_digits(whole) + (f".{decimals}" if decimals else ""))


def is_whole_text(text: str) -> bool:
    """Return whether a text is a number in plain digits without decimals other than zeros."""
    whole, _, decimals = text.partition(".")
    return whole.isascii() and whole.isdigit() and not decimals.strip("0")


@contextmanager
def use_decimal_comma(is_used: bool = True) -> Iterator[None]:
    """Write numbers like 1.234,5 in this block: in the private replies to people who prefer it."""
    token = _HAS_DECIMAL_COMMA.set(is_used)
    try:
        yield
    finally:
        _HAS_DECIMAL_COMMA.reset(token)


def _group_digits(whole: str) -> str:
    sign = "-" if whole.startswith("-") else ""
    return f"{sign}{int(whole.lstrip('-') or '0'):,}"


def _localize_separators(text: str) -> str:
    return text.translate(_SWAPPED) if _HAS_DECIMAL_COMMA.get() else text
