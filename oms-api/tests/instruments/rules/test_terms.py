"""The terms of listed instruments, and of those that are not listed."""

from decimal import Decimal

from app.instruments.rules import Instrument, get_trading_currency, get_unlisted_terms


def test_unlisted_instrument_is_traded_in_the_currency_of_the_portfolio():
    instrument = Instrument("TCS", tick_size=Decimal(1), lot_size=Decimal(5), currency="INR", is_listed=True)
    assert get_trading_currency(instrument, "EUR") == "INR"
    assert get_trading_currency(get_unlisted_terms("TCS"), "EUR") == "EUR"
