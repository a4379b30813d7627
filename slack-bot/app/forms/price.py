"""Compute prices and GMVs, and check whether a price is plausible."""

from decimal import ROUND_HALF_UP, Decimal
from typing import NamedTuple

from app.forms.numbers import (
    InvalidAmount,
    compute_gmv,
    compute_price,
    format_money,
    format_plain,
    is_ambiguous,
    parse_amount,
    parse_quantity,
)
from app.forms.ticket import MAX_GMV, MAX_PRICE, MAX_QUANTITY, Draft

MIN_USUAL_PRICE = Decimal("0.01")
MAX_USUAL_PRICE = Decimal(100_000)
MAX_PRICE_DEVIATION = Decimal("0.20")  # fraction of the reference price

PRICE_PROMPT = "Fill in the quantity, and the price per share or the GMV: the other is shown here."
SIMULATED = "simulated"
MAX_LIVE_AGE_SECONDS = 60.0  # the age at which the OMS calls a mark stale


class Quote(NamedTuple):
    """The OMS's newest price of a symbol per unit: the mid, else the last price."""

    price: Decimal
    age_seconds: float
    source: str

    @property
    def is_live(self) -> bool:
        """Whether prices can be compared with this quote: it is neither simulated nor stale."""
        return self.source != SIMULATED and self.age_seconds <= MAX_LIVE_AGE_SECONDS


def find_price_warning(
    price: Decimal, reference: Decimal | None, reference_name: str = "last trade"
) -> str | None:
    """Return why the price needs a confirmation, as a sentence. None if it is plausible.

    `reference` is the price to compare with, None if there is none. `reference_name` is "quote" or "last
    trade".
    """
    if price < MIN_USUAL_PRICE or price > MAX_USUAL_PRICE:
        usual = f"{format_money(MIN_USUAL_PRICE)} to {format_money(MAX_USUAL_PRICE)}"
        return f"{format_money(price)} per share is outside the usual {usual}."
    if reference is not None and abs(price - reference) > reference * MAX_PRICE_DEVIATION:
        described = f"the {reference_name} at {format_money(reference)}"
        return f"{format_money(price)} per share is more than 20% away from {described}."
    return None


def resolve_gmv(quantity: Decimal, price: Decimal | None, gmv: Decimal | None) -> Decimal:
    """Return the GMV of a quantity and either a price or a GMV.

    Raises `InvalidAmount` if both are given and differ by more than the rounding of the price to its own
    decimals (at least two), or if quantity × price exceeds the limits.
    """
    if gmv is None:
        return _check_gmv(compute_gmv(quantity, price or Decimal(0)))
    if price is not None and compute_gmv(quantity, price) != gmv:
        places = Decimal(1).scaleb(min(_get_exponent(price), -2))
        if compute_price(gmv, quantity).quantize(places, rounding=ROUND_HALF_UP) != price:
            product = format_money(compute_gmv(quantity, price))
            raise InvalidAmount(
                f"Quantity × price is {product}, not {format_money(gmv)}. Correct one, or clear it."
            )
    return gmv


def compute_typed_price(draft: Draft) -> Decimal | None:
    """Return the price per share of the current entries, None while they are incomplete."""
    gmv = _parse_typed_gmv(draft)
    return None if gmv is None else compute_price(gmv, parse_quantity(draft.quantity, MAX_QUANTITY))


def build_price_line(draft: Draft, quote: Quote | None = None) -> str:
    """Return the line with price and GMV of the current entries, and the quote with its age."""
    price = compute_typed_price(draft)
    gmv = _parse_typed_gmv(draft)
    typed = (("Quantity", draft.quantity), ("Price", draft.price), ("GMV", draft.gmv))
    if price is None or gmv is None:
        texts = [PRICE_PROMPT]
    else:
        texts = [
            f"Price per share: {format_money(price)} · GMV: {format_money(gmv)}",
            describe_ambiguous(*typed),
        ]
    return " · ".join(part for part in (*texts, format_quote(quote)) if part)


def format_quote(quote: Quote | None) -> str:
    """Return a quote and its age for display. Empty without a quote."""
    if quote is None:
        return ""
    label = "Quote (simulated)" if quote.source == SIMULATED else "Quote"
    return f"{label}: {format_money(quote.price)}, {format_duration(quote.age_seconds)} old"


def format_duration(seconds: float) -> str:
    """Format a duration: 3 s, 5 min, 2 h or 4 days."""
    for unit, size in (("days", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{int(seconds // size)} {unit}"
    return f"{max(0, int(seconds))} s"


def _parse_typed_gmv(draft: Draft) -> Decimal | None:
    try:
        quantity = parse_quantity(draft.quantity, MAX_QUANTITY)
        if draft.gmv.strip():
            return parse_amount(draft.gmv, MAX_GMV)
        return _check_gmv(compute_gmv(quantity, parse_amount(draft.price, MAX_PRICE)))
    except InvalidAmount:
        return None


def _check_gmv(gmv: Decimal) -> Decimal:
    if not 0 < gmv <= MAX_GMV:
        raise InvalidAmount(f"Quantity × price has to be above zero and at most {MAX_GMV:,}.")
    return gmv


def _get_exponent(value: Decimal) -> int:
    exponent = value.normalize().as_tuple().exponent
    return exponent if isinstance(exponent, int) else 0


def describe_ambiguous(*typed: tuple[str, str]) -> str:
    """Return how ambiguous numbers (`1,125`, `1.000`) were parsed. Empty if none is ambiguous."""
    sentences = [
        f"{name} {text.strip()} is read as {_format_parsed(text)}"
        for name, text in typed
        if is_ambiguous(text)
    ]
    return "; ".join(sentences)


def _format_parsed(text: str) -> str:
    return format_plain(parse_amount(text, MAX_GMV))
