from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.forms.numbers import NotAnAmount, grouped, money, parse_amount, per_share, plain, times

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
    ],
)
def test_amounts_are_understood_as_people_type_them(typed, amount):
    assert parse_amount(typed, MILLION) == Decimal(amount)


@pytest.mark.parametrize(
    ("typed", "said"),
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
        ("1,00", "plain number"),
        ("1 000", "plain number"),
        ("12345678901234567890", "too long"),
        ("1.123456789", "8 decimal places"),
        ("1000001", "largest"),
        ("0x10", "plain number"),
        ("1.2.3", "plain number"),
        (".", "plain number"),
    ],
)
def test_what_is_no_amount_is_refused_with_a_sentence(typed, said):
    with pytest.raises(NotAnAmount, match=said) as refused:
        parse_amount(typed, MILLION)
    assert str(refused.value).endswith(".")


@given(AMOUNTS)
def test_an_amount_survives_being_written_and_read(amount):
    assert parse_amount(plain(amount), MILLION) == amount
    assert parse_amount(grouped(amount), MILLION) == amount
    assert parse_amount(money(amount), MILLION) == amount


@given(st.text(max_size=40))
def test_any_text_is_an_amount_within_limits_or_a_sentence(text):
    try:
        amount = parse_amount(text, MILLION)
    except NotAnAmount as refused:
        assert str(refused)  # noqa: PT017 - either way out is right
    else:
        assert 0 < amount <= MILLION
        assert amount == amount.quantize(Decimal("0.00000001"))


@given(AMOUNTS, AMOUNTS)
def test_gmv_is_the_exact_product_rounded_once(quantity, price):
    assert abs(
        times(quantity, price) - Decimal(int(quantity * 10**8) * int(price * 10**8)) / Decimal(10**16)
    ) < Decimal("0.00000001")


def test_a_price_per_share_is_rounded_half_to_even_at_eight_places():
    assert per_share(Decimal(10), Decimal(3)) == Decimal("3.33333333")
    assert per_share(Decimal("0.00000003"), Decimal(2)) == Decimal("0.00000002")


@pytest.mark.parametrize(
    ("amount", "written"),
    [("17500", "17,500.00"), ("-1234.5", "-1,234.50"), ("3.33333333", "3.33333333"), ("0", "0.00")],
)
def test_money_is_written_with_two_decimals_at_least(amount, written):
    assert money(Decimal(amount)) == written
