"""Exact amounts: `Decimal` with 8 decimals. Only functions whose names say so round."""

import re
from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_EVEN, ROUND_HALF_UP, Context, Decimal, Inexact

PLACES = 8
DIGITS = 24  # NUMERIC(24, 8), the database's type
ZERO = Decimal(0)

_UNIT = Decimal(1).scaleb(-PLACES)
_FORMATTED_ZERO = f"{ZERO:.8f}"
_CENT = Decimal("0.01")
_ONE = Decimal(1)
# 60 digits hold every product of two amounts exactly. A quotient a/b with b of 24 digits is at least 1e-33
# away from any tie at 8 decimals unless it is one, so rounding to 60 digits first cannot change the result.
_EXACT_CONTEXT = Context(prec=60, rounding=ROUND_HALF_EVEN)
_NO_ROUNDING_CONTEXT = Context(prec=DIGITS, rounding=ROUND_HALF_EVEN, traps=[Inexact])
_PLAIN_PATTERN = re.compile(r"-?[0-9]{1,24}(?:\.[0-9]{1,24})?", re.ASCII)


def parse_plain(text: str) -> Decimal | None:
    """Parse a plain number ("1", "-0.25"). Return None for anything else.

    Plain means ASCII digits with at most one point: no exponent, space, separator, plus sign, NaN or
    infinity.
    """
    return Decimal(text) if _PLAIN_PATTERN.fullmatch(text) else None


def is_storable(amount: Decimal) -> bool:
    """Return whether `amount` can be stored exactly: at most 8 decimals and 16 digits before the point."""
    try:
        stored_amount = amount.quantize(_UNIT, context=_NO_ROUNDING_CONTEXT)
    except ArithmeticError:
        return False
    return stored_amount == amount


def find_amount_error(amount: Decimal) -> str | None:
    """Return the error of an amount that is not above zero or cannot be stored exactly, or None."""
    if amount <= 0:
        return "Must be positive."
    return None if is_storable(amount) else "At most 8 decimals, and 16 digits before the point."


def to_places(amount: Decimal) -> Decimal:
    """Round half-even to 8 decimals, the precision of the ledger."""
    return amount.quantize(_UNIT, None, _EXACT_CONTEXT)


def to_cents(amount: Decimal) -> Decimal:
    """Round half up to 2 decimals, for display."""
    return amount.quantize(_CENT, rounding=ROUND_HALF_UP, context=_EXACT_CONTEXT)


def multiply(value: Decimal, factor: Decimal) -> Decimal:
    """Multiply, then round half-even to 8 decimals."""
    return _EXACT_CONTEXT.multiply(value, factor).quantize(_UNIT, None, _EXACT_CONTEXT)


def multiply_exactly(value: Decimal, factor: Decimal) -> Decimal:
    """Multiply without rounding: 60 digits hold the product of any two amounts."""
    return _EXACT_CONTEXT.multiply(value, factor)


def compute_share(amount: Decimal, part: Decimal, whole: Decimal) -> Decimal:
    """Return amount × part / whole, rounded once, half-even, to 8 decimals. `whole` must not be zero."""
    return to_places(_EXACT_CONTEXT.divide(_EXACT_CONTEXT.multiply(amount, part), whole))


def divide(amount: Decimal, divisor: Decimal) -> Decimal:
    """Return amount / divisor, rounded half-even to 8 decimals. `divisor` must not be zero."""
    return _EXACT_CONTEXT.divide(amount, divisor).quantize(_UNIT, None, _EXACT_CONTEXT)


def round_down_to_step(amount: Decimal, step: Decimal) -> Decimal:
    """Return the greatest multiple of `step` up to `amount`, for whole lots and a SELL's worse tick."""
    return _round_to_multiple(amount, step, ROUND_FLOOR)


def round_up_to_step(amount: Decimal, step: Decimal) -> Decimal:
    """Return the least multiple of `step` from `amount` up, for a BUY's worse tick."""
    return _round_to_multiple(amount, step, ROUND_CEILING)


def round_to_nearest_step(amount: Decimal, step: Decimal) -> Decimal:
    """Return the multiple of `step` nearest to `amount`, half up, for the tick of a trailing stop."""
    return _round_to_multiple(amount, step, ROUND_HALF_UP)


def format_fixed(amount: Decimal) -> str:
    """Return the canonical text of a storable amount: always 8 decimals, never an exponent or "-0"."""
    return f"{amount:.8f}" if amount else _FORMATTED_ZERO


def shorten_amount(text: str) -> str:
    """Shorten canonical text to 2 to 8 decimals for display ("17500.00000000" → "17500.00")."""
    return text[:-6] + text[-6:].rstrip("0")


def shorten_quantity(text: str) -> str:
    """Shorten canonical text for display by removing trailing zeros ("100.00000000" → "100")."""
    return text.rstrip("0").rstrip(".")


def format_money(amount: Decimal) -> str:
    """Return the amount with 2 to 8 decimals for display ("17500.00")."""
    return shorten_amount(format_fixed(amount))


def format_plain_amount(amount: Decimal) -> str:
    """Return the amount without separators and trailing zeros ("10.50" → "10.5")."""
    return shorten_quantity(format_fixed(amount))


def format_optional_fixed(amount: Decimal | None) -> str | None:
    """Return the canonical text of an amount. None stays None."""
    return None if amount is None else format_fixed(amount)


def format_optional_money(amount: Decimal | None) -> str | None:
    """Return an amount as `format_money` does. None stays None."""
    return None if amount is None else format_money(amount)


def format_optional_quantity(amount: Decimal | None) -> str | None:
    """Return an amount as `format_plain_amount` does. None stays None."""
    return None if amount is None else format_plain_amount(amount)


def format_grouped_amount(amount: Decimal) -> str:
    """Return the amount for a message, with thousands separators and without trailing zeros."""
    return f"{amount.normalize():,f}"


def _round_to_multiple(amount: Decimal, step: Decimal, rounding: str) -> Decimal:
    if step == _CENT:  # the usual case, in one operation
        return amount.quantize(_CENT, rounding, _EXACT_CONTEXT)
    steps = _EXACT_CONTEXT.divide(amount, step).quantize(_ONE, rounding, _EXACT_CONTEXT)
    return _EXACT_CONTEXT.multiply(steps, step)
