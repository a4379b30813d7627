"""The market that settles a trade, and its local day."""

from datetime import UTC, date, datetime

import pytest

from app.calendars.rules.values import Market
from app.ledger.rules.settlement import SettlementTerms, convert_to_local_date, find_market


@pytest.mark.parametrize(
    ("terms", "market"),
    [
        (SettlementTerms("NSE", "equity", "INR", "XNYS"), Market.XNSE),
        (SettlementTerms("BSE", "equity", "INR"), Market.XBOM),
        (SettlementTerms("NASDAQ", "equity", "USD"), Market.XNYS),
        (SettlementTerms("", "equity", "USD", "XBOM"), Market.XBOM),
        (SettlementTerms("LSE", "equity", "INR"), Market.XNSE),
        (SettlementTerms("", "equity", "EUR"), Market.XNYS),
        (SettlementTerms("NSE", "crypto", "INR", "XNYS"), Market.CRYPTO),
    ],
)
def test_settlement_market_prefers_exchange_over_calendar_and_currency(terms, market):
    assert find_market(terms) is market


def test_settlement_day_is_in_the_market_time_zone():
    instant = datetime(2026, 11, 20, 3, tzinfo=UTC)
    assert convert_to_local_date(Market.XNYS, instant) == date(2026, 11, 19)
    assert (
        convert_to_local_date(Market.XNSE, instant)
        == convert_to_local_date(Market.CRYPTO, instant)
        == date(2026, 11, 20)
    )
