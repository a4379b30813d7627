"""Valid reports of a trade: valued once, within the limits, with a valid name."""

import unicodedata
from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.ledger.rules.tickets import (
    TradeLimits,
    TradeValue,
    compute_trade_value,
    find_portfolio_name_error,
    list_execution_time_errors,
    list_trade_errors,
)
from app.money import find_amount_error
from app.text import clean_text, name_key
from tests.factories import NOON

LIMITS = TradeLimits(Decimal(1_000_000), Decimal(100_000_000), Decimal("0.00000001"), Decimal(1_000_000))


def test_price_and_gmv_are_derived_from_each_other():
    assert compute_trade_value(Decimal(3), Decimal(100), None) == TradeValue(
        Decimal(3), Decimal(100), Decimal("33.33333333")
    )
    assert compute_trade_value(Decimal(3), None, Decimal("1.5")) == TradeValue(
        Decimal(3), Decimal("4.5"), Decimal("1.5")
    )


@pytest.mark.parametrize(
    ("quantity", "gmv", "codes"),
    [
        ("1000000", "100000000", []),
        ("1000001", "100000000", ["too_large"]),
        ("1000001", "100000001", ["too_large", "too_large"]),
        ("1", "1000001", ["price_out_of_range"]),
        ("1000000", "0.000000001", ["price_out_of_range"]),
    ],
)
def test_every_exceeded_limit_is_reported(quantity, gmv, codes):
    errors = list_trade_errors(compute_trade_value(Decimal(quantity), Decimal(gmv), None), LIMITS, "gmv")
    assert [error.code for error in errors] == codes


def test_value_that_rounds_to_zero_is_rejected():
    (error,) = list_trade_errors(
        compute_trade_value(Decimal("0.1"), None, Decimal("0.00000001")), LIMITS, "price"
    )
    assert (error.field, error.code) == ("price", "value_too_small")


@pytest.mark.parametrize(
    ("amount", "fine"),
    [("0", False), ("-1", False), ("1", True), ("1E-8", True), ("1E-9", False), ("1E16", False)],
)
def test_amounts_must_be_positive_and_storable(amount, fine):
    assert (find_amount_error(Decimal(amount)) is None) == fine


@pytest.mark.parametrize(
    "text",
    ["a\u0000", "\u202ea", "a\u200bb", "\ud800", "\ue000", "\u2028", "\x7f", "a\nb", "\ufeff"],
)
def test_invisible_and_unpaired_characters_are_rejected(text):
    assert clean_text(text) is None


@pytest.mark.parametrize(
    ("text", "cleaned"), [(" gro\u0308sse ", "gr\u00f6sse"), ("\u00a0é", "é"), (" a ", "a")]
)
def test_text_is_normalized_to_nfc_and_trimmed(text, cleaned):
    assert clean_text(text) == cleaned


@given(st.text(max_size=40))
def test_text_normalization_is_idempotent(text):
    cleaned = clean_text(text)
    if cleaned is not None:
        assert cleaned == cleaned.strip() == unicodedata.normalize("NFC", cleaned)
        assert clean_text(cleaned) == cleaned


@given(st.text(max_size=40))
def test_names_that_differ_in_case_or_composition_have_one_key(text):
    key = name_key(text)
    assert name_key(unicodedata.normalize("NFC", text)) == name_key(unicodedata.normalize("NFD", text))
    assert name_key(key) == key


@given(st.text(st.characters(max_codepoint=127), max_size=40))
def test_ascii_names_are_case_insensitive(text):
    assert name_key(text.upper()) == name_key(text.lower()) == name_key(text)


@pytest.mark.parametrize(
    ("first", "second"), [("STRASSE", "Straße"), ("É", "e\u0301"), ("ΣΑΣ", "σας"), ("a\u200db", "ab")]
)
def test_names_in_other_scripts_are_case_insensitive(first, second):
    assert name_key(first) == name_key(second)


@pytest.mark.parametrize(
    ("name", "fine"),
    [
        ("", False),
        ("a/b", False),
        (".", False),
        ("..", False),
        ("\u200d", False),
        ("a\u200cb", True),
        ("x" * 101, False),
        ("x" * 100, True),
        ("R&D", True),
    ],
)
def test_portfolio_name_format_is_validated(name, fine):
    assert (find_portfolio_name_error(name) is None) == fine


@pytest.mark.parametrize(("seconds", "codes"), [(-86_400, []), (60, []), (61, ["future"])])
def test_execution_time_is_at_most_one_minute_ahead(seconds, codes):
    field_errors = list_execution_time_errors(NOON + timedelta(seconds=seconds), NOON)
    assert [error.code for error in field_errors] == codes
    assert list_execution_time_errors(None, NOON) == []
