"""Exact amounts: parsed strictly, rounded explicitly, formatted without loss."""

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from app.money import (
    compute_share,
    divide,
    format_fixed,
    format_grouped_amount,
    is_storable,
    multiply,
    parse_plain,
    round_down_to_step,
    round_to_nearest_step,
    round_up_to_step,
    shorten_amount,
    shorten_quantity,
    to_cents,
    to_places,
)

UNIT = Fraction(1, 10**8)
amounts = st.integers(-(10**24) + 1, 10**24 - 1).map(lambda units: Decimal(units).scaleb(-8))
positive = st.integers(1, 10**24 - 1).map(lambda units: Decimal(units).scaleb(-8))
moderate = st.integers(-(10**18), 10**18).map(lambda units: Decimal(units).scaleb(-8))


def round_half_even(exact: Fraction) -> Decimal:
    """Round to 8 places, ties to the even digit, as Python's `round` does for a fraction."""
    return Decimal(round(exact / UNIT)).scaleb(-8)


@given(amounts)
def test_canonical_text_round_trips(amount):
    text = format_fixed(amount)
    assert parse_plain(text) == amount
    assert format_fixed(Decimal(text)) == text
    assert len(text.partition(".")[2]) == 8


@given(amounts)
def test_displayed_amount_round_trips(amount):
    for shown in (shorten_amount(format_fixed(amount)), shorten_quantity(format_fixed(amount))):
        assert parse_plain(shown) == amount
    assert 2 <= len(shorten_amount(format_fixed(amount)).partition(".")[2]) <= 8
    assert not shorten_quantity(format_fixed(amount)).endswith((".", ".0"))


@given(amounts)
def test_every_storable_amount_fits(amount):
    assert is_storable(amount)


@given(st.decimals(allow_nan=False, allow_infinity=False))
def test_amount_fits_exactly_if_the_column_can_store_it(amount):
    exact = Fraction(amount)
    assert is_storable(amount) == ((exact / UNIT).denominator == 1 and abs(exact) < 10**16)


@given(moderate, moderate)
def test_product_is_rounded_once_half_even(quantity, price):
    assert multiply(quantity, price) == round_half_even(Fraction(quantity) * Fraction(price))


@given(amounts, positive, positive)
def test_share_is_rounded_once_half_even(amount, part, whole):
    assume(part <= whole)
    assert compute_share(amount, part, whole) == round_half_even(
        Fraction(amount) * Fraction(part) / Fraction(whole)
    )


@given(moderate, positive)
def test_ratio_is_rounded_once_half_even(amount, divisor):
    assert divide(amount, divisor) == round_half_even(Fraction(amount) / Fraction(divisor))


@given(amounts, positive, positive)
def test_parts_of_an_amount_sum_up_within_one_unit(amount, part, whole):
    assume(part <= whole)
    remainder = amount - compute_share(amount, part, whole)
    assert abs(Fraction(remainder) - Fraction(amount) * (1 - Fraction(part) / Fraction(whole))) <= UNIT / 2


@pytest.mark.parametrize(
    ("exact", "rounded"),
    [("0.000000005", "0"), ("0.000000015", "2E-8"), ("-0.000000005", "0"), ("0.0000000050000001", "1E-8")],
)
def test_ties_are_rounded_to_the_even_digit(exact, rounded):
    assert to_places(Decimal(exact)) == Decimal(rounded)


@pytest.mark.parametrize(
    ("exact", "cents"), [("0.005", "0.01"), ("-0.005", "-0.01"), ("0.0049", "0"), ("2.675", "2.68")]
)
def test_displayed_cents_are_rounded_half_up(exact, cents):
    assert to_cents(Decimal(exact)) == Decimal(cents)


@pytest.mark.parametrize("text", ["-0", "-0.00000000", "0", "0E-8", "-0E-8"])
def test_negative_zero_is_formatted_as_zero(text):
    assert format_fixed(Decimal(text)) == "0.00000000"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("17500.00000000", "17500.00"),
        ("3.33333333", "3.33333333"),
        ("0.10000000", "0.10"),
        ("-1.50000000", "-1.50"),
    ],
)
def test_money_has_two_to_eight_decimals(text, shown):
    assert shorten_amount(text) == shown


@pytest.mark.parametrize(
    ("text", "shown"), [("100.00000000", "100"), ("0.50000000", "0.5"), ("0.00000000", "0")]
)
def test_quantities_have_no_trailing_zeros(text, shown):
    assert shorten_quantity(text) == shown


@pytest.mark.parametrize("text", ["1", "0.25", "-3", "007", "9" * 24])
def test_plain_number_text_is_parsed(text):
    assert parse_plain(text) == Decimal(text)


@pytest.mark.parametrize(
    "text",
    ["", "+1", " 1", "1 ", "1e5", "1_0", ".5", "5.", "١", "NaN", "1\n", "9" * 25, "0." + "1" * 25, "--1"],
)
def test_other_number_text_is_rejected(text):
    assert parse_plain(text) is None


@given(st.text(max_size=30))
def test_amount_parser_handles_any_text(text):
    read = parse_plain(text)
    assert read is None or format_fixed(read)


LARGEST = "9999999999999999.99999999"


@pytest.mark.parametrize(
    ("amount", "step", "floor", "ceiling", "nearest"),
    [
        ("101.0505", "0.01", "101.05", "101.06", "101.05"),
        ("102.465", "0.01", "102.46", "102.47", "102.47"),
        ("100", "0.05", "100", "100", "100"),
        ("100.03", "0.05", "100", "100.05", "100.05"),
        ("100.02", "0.05", "100", "100.05", "100"),
        ("0.04", "0.05", "0", "0.05", "0.05"),
        ("17", "5", "15", "20", "15"),
        ("-0.03", "0.05", "-0.05", "0", "-0.05"),
        (LARGEST, "0.00000003", LARGEST, LARGEST, LARGEST),
    ],
)
def test_amounts_are_rounded_down_up_and_to_the_nearest_step(amount, step, floor, ceiling, nearest):
    exact, unit = Decimal(amount), Decimal(step)
    assert (
        round_down_to_step(exact, unit),
        round_up_to_step(exact, unit),
        round_to_nearest_step(exact, unit),
    ) == tuple(map(Decimal, (floor, ceiling, nearest)))


@pytest.mark.parametrize(
    ("amount", "text"),
    [("5.00000000", "5"), ("1000.50", "1,000.5"), ("0.05000000", "0.05"), ("1E+6", "1,000,000"), ("0", "0")],
)
def test_amounts_in_sentences_have_no_trailing_zeros(amount, text):
    assert format_grouped_amount(Decimal(amount)) == text
