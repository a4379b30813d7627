from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.forms.numbers import (
    InvalidAmount,
    compute_gmv,
    compute_price,
    format_grouped,
    format_money,
    format_plain,
    is_ambiguous,
    parse_amount,
    parse_quantity,
)

MILLION = Decimal(1_000_000)
AMOUNTS = st.decimals(min_value=Decimal("0.00000001"), max_value=MILLION, places=8)


@pytest.mark.parametrize(
    ("typed", "amount"),
    [
        ("100", "100"),
        (" 1,000 ", "1000"),
        ("1,000,000", "1000000"),
        ("$175.50", "175.5"),
        (".5", "0.5"),
        ("7.", "7"),
        ("1,00,000", "100000"),
        ("9,00,000.50", "900000.5"),
        ("₹175", "175"),
        ("175 USD", "175"),
        ("USD 175", "175"),
        ("175usd", "175"),
        ("US$ 175", "175"),
        ("“175”", "175"),
        ("175\u00a0USD", "175"),
        ("12\u202f500", "12500"),
        ("1\u00a0000.5", "1000.5"),
    ],
)
def test_amounts_are_understood_as_people_type_them(typed, amount):
    assert parse_amount(typed, MILLION) == Decimal(amount)


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("", "Enter a number"),
        ("1e3", "without an exponent"),
        ("NaN", "plain number"),
        ("Infinity", "plain number"),
        ("-5", "above zero"),
        ("−5", "above zero"),
        ("+5", "plain number"),
        ("0", "above zero"),
        ("0.000", "above zero"),
        ("٣", "0 to 9"),
        ("１００", "0 to 9"),
        ("1_000", "plain number"),
        ("1,00", "with a point"),
        ("1 000", "plain number"),
        ("12345678901234567890", "too long"),
        ("1.123456789", "8 decimal places"),
        ("1000001", "largest"),
        ("0x10", "plain number"),
        ("1.2.3", "plain number"),
        (".", "plain number"),
        ("0,001", "with a point"),
        ("0,5", "with a point"),
        ("00,001", "with a point"),
        ("0,001,000", "plain number"),
        ("0\u00a0001", "with a point"),
        ("1,0000", "with a point"),
        ("1,000,00", "plain number"),
        ("1,00,00", "plain number"),
        ("\u20135", "above zero"),
        ("\u20145", "above zero"),
        ("$", "Enter a number"),
        ("$-5", "above zero"),
        ("175 XYZ", "plain number"),
    ],
)
def test_invalid_amount_is_refused_with_a_sentence(typed, expected):
    with pytest.raises(InvalidAmount, match=expected) as caught:
        parse_amount(typed, MILLION)
    assert str(caught.value).endswith(".")


@given(AMOUNTS)
def test_amount_survives_being_written_and_read(amount):
    assert parse_amount(format_plain(amount), MILLION) == amount
    assert parse_amount(format_grouped(amount), MILLION) == amount
    assert parse_amount(format_money(amount), MILLION) == amount


@given(st.integers(1, 999999), st.integers(1, 6))
def test_comma_of_a_possible_decimal_is_never_dropped(number, digits):
    for typed in (f"0,{number:0{digits}d}", f"0{number},{number % 1000:03d}"):
        with pytest.raises(InvalidAmount):
            parse_amount(typed, MILLION)


@given(st.text("0123456789,.", min_size=1, max_size=12))
def test_grouped_number_has_exactly_three_digits_behind_its_last_comma(typed):
    try:
        amount = parse_amount(typed, MILLION)
    except InvalidAmount:
        return
    whole = typed.partition(".")[0]
    assert "," not in whole or (len(whole.rpartition(",")[2]) == 3 and whole[0] != "0")
    assert "," not in typed.partition(".")[2]
    assert amount == Decimal(typed.replace(",", ""))


@given(AMOUNTS, st.sampled_from(["${}", "₹{}", "{} USD", "INR\u00a0{}", "“{}”", " {} ", "{}\u202fUSD"]))
def test_quotes_and_currencies_around_an_amount_are_ignored(amount, around):
    assert parse_amount(around.format(format_grouped(amount)), MILLION) == amount


@given(st.integers(1, 9_999_999))
def test_indian_way_of_grouping_is_the_same_number(number):
    digits = str(number)
    head, tail = digits[:-3], digits[-3:]
    pairs = [head[max(0, end - 2) : end] for end in range(len(head), 0, -2)][::-1]
    assert parse_amount(",".join([*pairs, tail]), Decimal(10_000_000)) == number


@pytest.mark.parametrize("typed", ["10 shares", "10shares", "10 units", "“10”", "10"])
def test_quantity_may_name_its_unit(typed):
    assert parse_quantity(typed, MILLION) == 10


@pytest.mark.parametrize("typed", ["$10", "10 USD", "₹10", "$10 shares"])
def test_money_is_not_a_quantity(typed):
    with pytest.raises(InvalidAmount, match="without a currency"):
        parse_quantity(typed, MILLION)


@pytest.mark.parametrize(
    ("typed", "two"),
    [
        ("1,125", True),
        ("1.000", True),
        ("$1.125", True),
        ("0.001", False),
        ("1,125.00", False),
        ("1.00", False),
    ],
)
def test_ambiguous_numbers_are_recognized(typed, two):
    assert is_ambiguous(typed) is two


@given(st.text(max_size=40))
def test_any_text_is_an_amount_within_limits_or_a_sentence(text):
    try:
        amount = parse_amount(text, MILLION)
    except InvalidAmount as refused:
        assert str(refused)  # noqa: PT017 - either way out is right
    else:
        assert 0 < amount <= MILLION
        assert amount == amount.quantize(Decimal("0.00000001"))


@given(AMOUNTS, AMOUNTS)
def test_gmv_is_the_exact_product_rounded_once(quantity, price):
    assert abs(
        compute_gmv(quantity, price) - Decimal(int(quantity * 10**8) * int(price * 10**8)) / Decimal(10**16)
    ) < Decimal("0.00000001")


def test_price_per_share_is_rounded_half_to_even_at_eight_places():
    assert compute_price(Decimal(10), Decimal(3)) == Decimal("3.33333333")
    assert compute_price(Decimal("0.00000003"), Decimal(2)) == Decimal("0.00000002")


@pytest.mark.parametrize(
    ("amount", "written"),
    [("17500", "17,500.00"), ("-1234.5", "-1,234.50"), ("3.33333333", "3.33333333"), ("0", "0.00")],
)
def test_money_is_written_with_two_decimals_at_least(amount, written):
    assert format_money(Decimal(amount)) == written
