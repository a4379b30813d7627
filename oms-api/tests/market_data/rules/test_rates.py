"""Exchange rates from the quotes of pairs."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.market_data.rules.rates import find_rate, list_pairs
from app.market_data.rules.values import Quote

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


def build_last_prices(**prices):
    """Return quotes by symbol: EUR_USD="1.15" is the last price of EUR/USD."""
    return {
        symbol: Quote(symbol, None, None, Decimal(price), None, None, NOON, "manual")
        for symbol, price in ((name.replace("_", "/"), price) for name, price in prices.items())
    }


@pytest.mark.parametrize(
    ("currency_pair", "quotes", "rate"),
    [
        ("USD/INR", build_last_prices(USD_INR="83.5"), "83.50000000"),
        ("INR/USD", build_last_prices(USD_INR="83.5"), "0.01197605"),  # 1 / 83.5
        ("USD/INR", build_last_prices(USD_INR="83.5", INR_USD="0.02"), "83.50000000"),  # their own pair first
        ("EUR/INR", build_last_prices(EUR_USD="1.2", USD_INR="83.5"), "100.20000000"),
        ("INR/EUR", build_last_prices(EUR_USD="1.2", USD_INR="83.5"), "0.00998004"),
        (
            "JPY/INR",
            build_last_prices(USD_JPY="156", USD_INR="88.6"),
            "0.56794872",
        ),  # rounded once: 88.6 / 156
        ("EUR/INR", build_last_prices(EUR_INR="99", EUR_USD="1.2", USD_INR="83.5"), "99.00000000"),
        ("EUR/EUR", {}, "1"),
        ("EUR/INR", build_last_prices(EUR_USD="1.2"), None),
        ("EUR/INR", build_last_prices(USD_INR="83.5"), None),
        ("EUR/USD", {"EUR/USD": None}, None),
        ("USD/INR", build_last_prices(INR_USD="1000000000"), None),  # nothing is left of it at 8 places
        ("USD/INR", build_last_prices(USD_INR="83.123456785"), "83.12345678"),  # half-even
    ],
)
def test_rate_is_from_the_pair_then_its_inverse_then_through_usd(currency_pair, quotes, rate):
    currency, _, base = currency_pair.partition("/")
    assert find_rate(currency, base, quotes) == (None if rate is None else Decimal(rate))


def test_quote_midpoint_is_preferred_to_its_last_price():
    quote = Quote("USD/INR", Decimal(83), Decimal(84), Decimal(90), None, None, NOON, "manual")
    assert find_rate("USD", "INR", {"USD/INR": quote}) == Decimal("83.5")
    assert find_rate("USD", "INR", {"USD/INR": quote._replace(ask=None)}) == 90
    assert find_rate("USD", "INR", {"USD/INR": quote._replace(ask=None, last=None)}) is None


def test_rate_that_cannot_be_stored_is_none():
    assert find_rate("EUR", "INR", build_last_prices(EUR_USD="1e15", USD_INR="1e15")) is None


def test_pairs_that_give_a_rate_are_listed_by_preference():
    assert list_pairs("USD", "INR") == ("USD/INR", "INR/USD")
    assert list_pairs("EUR", "INR") == ("EUR/INR", "INR/EUR", "EUR/USD", "USD/EUR", "USD/INR", "INR/USD")


@given(st.decimals(Decimal("0.001"), Decimal(1000), places=8))
def test_rate_and_inverse_rate_multiply_to_one(price):
    quotes = build_last_prices(EUR_USD=price)
    there, back = find_rate("EUR", "USD", quotes), find_rate("USD", "EUR", quotes)
    assert there is not None
    assert back is not None
    assert abs(there * back - 1) <= Decimal("0.00001")
