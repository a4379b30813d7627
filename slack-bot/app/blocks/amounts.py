"""Format amounts and orders for tables and sentences."""

from decimal import ROUND_HALF_EVEN, Decimal, InvalidOperation, localcontext

from app.blocks.tables import Amount
from app.forms.numbers import PRECISION_DIGITS, format_grouped, format_money, format_with_decimals
from app.forms.portfolio_values import OrderSummary

NOT_KNOWN = "unknown"
CENT = Decimal("0.01")


def build_money_cell(value: Decimal | None) -> Amount | str:
    """Return money rounded half to even to two decimals, and small amounts to four digits."""
    return NOT_KNOWN if value is None else Amount(value, format_rounded(value))


def build_gain_cell(value: Decimal | None) -> Amount | str:
    """Return a gain with a plus sign, or a loss with a minus sign."""
    return NOT_KNOWN if value is None else Amount(value, format_signed(value))


def build_quantity_cell(value: Decimal) -> Amount:
    """Return a quantity."""
    return Amount(value, format_grouped(value))


def build_price_cell(value: Decimal | None) -> Amount | str:
    """Return a price per unit, exactly. An empty text if there is none."""
    return "" if value is None else Amount(value, format_money(value))


def format_rounded(value: Decimal) -> str:
    """Format money with two decimals: 1,234.50. Amounts below a cent keep four significant digits."""
    with localcontext(prec=PRECISION_DIGITS):
        if value and abs(value) < CENT:
            return format_grouped(value.quantize(Decimal(1).scaleb(value.adjusted() - 3)))
        return format_money(value.quantize(CENT, rounding=ROUND_HALF_EVEN) or Decimal(0))


def format_signed(value: Decimal) -> str:
    """Format a gain or loss: +50.00, -0.33 or 0.00."""
    text = format_rounded(value)
    return f"+{text}" if value > 0 else text


def format_order_price(order: OrderSummary) -> str:
    """Return the limit, stop or trail of an order, such as `170.00` or `stop 160.00`."""
    if order.trail_amount is not None:
        return f"trail {format_money(order.trail_amount)}"
    if order.trail_percent is not None:
        return f"trail {format_grouped(order.trail_percent)}%"
    stop = "" if order.stop_price is None else f"stop {format_money(order.stop_price)}"
    limit = "" if order.limit_price is None else format_money(order.limit_price)
    return " limit ".join(part for part in (stop, limit) if part) or "market"


def format_order_terms(order: OrderSummary) -> str:
    """Return the type and the prices of an order in a sentence, such as `limit 170.00` or `market`."""
    return f"limit {format_order_price(order)}" if order.type == "LIMIT" else format_order_price(order)


def format_words(constant: str) -> str:
    """Return a constant of the OMS in words: `AWAITING_APPROVAL` as `awaiting approval`."""
    return constant.replace("_", " ").lower()


def format_figure(text: str) -> str:
    """Return a number as text with groups of thousands and its decimals. Return any other text unchanged."""
    try:
        value = Decimal(text)
    except InvalidOperation:
        return text
    return format_with_decimals(value) if value.is_finite() else text


def format_count(count: int, noun: str, *, is_cut: bool = False) -> str:
    """Return a number with its noun: `1 order`, `3 orders` or `3 or more orders`."""
    return f"{count}{' or more' if is_cut else ''} {noun}{'' if count == 1 and not is_cut else 's'}"
