"""Amounts in the sentences of denials."""

from decimal import Decimal

import pytest

from app.risk.rules.words import format_amount


@pytest.mark.parametrize(
    ("amount", "words"),
    [("5.00000000", "5"), ("1000.50", "1,000.5"), ("0.05000000", "0.05"), ("1E+6", "1,000,000"), ("0", "0")],
)
def test_amounts_in_sentences_have_no_trailing_zeros(amount, words):
    assert format_amount(Decimal(amount)) == words
