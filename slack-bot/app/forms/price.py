"""Whether a price is plausible: a slip of the finger is asked about before it trades."""

from decimal import Decimal

from app.forms.numbers import (
    NotAnAmount,
    has_two_readings,
    money,
    parse_amount,
    parse_quantity,
    per_share,
    plain,
)
from app.forms.ticket import MAX_GMV, MAX_QUANTITY, Draft

LOWEST_USUAL = Decimal("0.01")
HIGHEST_USUAL = Decimal(100_000)
FAR = Decimal("0.20")  # of the last known price

PRICE_PROMPT = "Price per share: shown once quantity and GMV are filled in."


def doubt(price: Decimal, last_price: Decimal | None, of: str = "last trade") -> str | None:
    """Return why this price per share should be asked about, as a sentence; None when it is plausible.

    `last_price` is the live quote's or that of the symbol's latest trade, as `of` says; None without either.
    """
    if price < LOWEST_USUAL or price > HIGHEST_USUAL:
        return (
            f"{money(price)} per share is outside the usual {money(LOWEST_USUAL)} to {money(HIGHEST_USUAL)}."
        )
    if last_price is not None and abs(price - last_price) > last_price * FAR:
        return f"{money(price)} per share is more than 20% away from the {of} at {money(last_price)}."
    return None


def typed_price(draft: Draft) -> Decimal | None:
    """Return the price per share of what is typed so far, None while it makes none."""
    try:
        quantity = parse_quantity(draft.quantity, MAX_QUANTITY)
        return per_share(parse_amount(draft.gmv, MAX_GMV), quantity)
    except NotAnAmount:
        return None


def price_line(draft: Draft) -> str:
    """Return the line of the form that shows the price per share of what is typed so far."""
    price = typed_price(draft)
    if price is None:
        return PRICE_PROMPT
    read = read_as(("Quantity", draft.quantity), ("GMV", draft.gmv))
    return f"Price per share: {money(price)}" + (f" · {read}" if read else "")


def read_as(*typed: tuple[str, str]) -> str:
    """Return how the numbers that have two readings (`1,125`, `1.000`) were read; empty without one."""
    read = [
        f"{name} {text.strip()} is read as {_read(text)}" for name, text in typed if has_two_readings(text)
    ]
    return "; ".join(read)


def _read(text: str) -> str:
    return plain(parse_amount(text, MAX_GMV))
