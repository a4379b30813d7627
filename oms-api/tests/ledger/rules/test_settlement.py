"""The market that settles a trade, and its local day."""

from datetime import UTC, date, datetime

import pytest

from app.calendars.rules.values import MarketIdentifier
from app.ledger.rules.settlement import SettlementTerms, convert_to_local_date, get_settlement_market


@pytest.mark.parametrize(
    ("terms", "market"),
    [
        (SettlementTerms("NSE", "equity", "INR", "XNYS"), MarketIdentifier.XNSE),
        (SettlementTerms("BSE", "equity", "INR"), MarketIdentifier.XBOM),
        (SettlementTerms("NASDAQ", "equity", "USD"), MarketIdentifier.XNYS),
        (SettlementTerms("", "equity", "USD", "XBOM"), MarketIdentifier.XBOM),
        (SettlementTerms("LSE", "equity", "INR"), MarketIdentifier.XNSE),
        (SettlementTerms("", "equity", "EUR"), MarketIdentifier.XNYS),
        (SettlementTerms("NSE", "crypto", "INR", "XNYS"), MarketIdentifier.CRYPTO),
    ],
)
def test_settlement_market_prefers_exchange_over_calendar_and_currency(terms, market):
    assert get_settlement_market(terms) is market


def test_settlement_day_is_in_the_market_time_zone():
    instant = datetime(2026, 11, 20, 3, tzinfo=UTC)
    assert convert_to_local_date(MarketIdentifier.XNYS, instant) == date(2026, 11, 19)
    assert (
        convert_to_local_date(MarketIdentifier.XNSE, instant)
        == convert_to_local_date(MarketIdentifier.CRYPTO, instant)
        == date(2026, 11, 20)
    )
