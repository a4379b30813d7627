"""The market whose settlement cycle applies to a trade."""

from datetime import date, datetime
from decimal import Decimal
from typing import NamedTuple
from zoneinfo import ZoneInfo

from app.calendars.rules.values import MarketIdentifier
from app.costs.rules.markets import Exchange

_TIME_ZONES = {
    MarketIdentifier.XNYS: "America/New_York",
    MarketIdentifier.XNSE: "Asia/Kolkata",
    MarketIdentifier.XBOM: "Asia/Kolkata",
}
_MARKET_BY_CURRENCY = {"INR": MarketIdentifier.XNSE}
_MARKET_BY_EXCHANGE: dict[str, MarketIdentifier] = {
    Exchange.NSE: MarketIdentifier.XNSE,
    Exchange.BSE: MarketIdentifier.XBOM,
}


class SettlementTerms(NamedTuple):
    """The values that determine the market of a trade.

    `exchange` is empty where the instrument names none, `calendar` None where its portfolio has none.
    """

    exchange: str
    asset_class: str
    currency: str
    calendar: str | None = None


class CashTotals(NamedTuple):
    """The settled cash of a portfolio, and the amount that later settlements add to it."""

    settled: Decimal
    unsettled: Decimal


def get_settlement_market(terms: SettlementTerms) -> MarketIdentifier:
    """Return the market whose cycle settles a trade.

    This is the market of the exchange, else that of the portfolio's calendar, else that of the currency.
    Crypto settles at once.
    """
    if terms.asset_class == "crypto":
        return MarketIdentifier.CRYPTO
    if terms.exchange in set(Exchange):
        return _MARKET_BY_EXCHANGE.get(terms.exchange, MarketIdentifier.XNYS)
    if terms.calendar is not None:
        return MarketIdentifier(terms.calendar)
    return _MARKET_BY_CURRENCY.get(terms.currency, MarketIdentifier.XNYS)


def convert_to_local_date(market: MarketIdentifier, instant: datetime) -> date:
    """Return the date of the instant at the market."""
    zone = _TIME_ZONES.get(market)
    return (instant if zone is None else instant.astimezone(ZoneInfo(zone))).date()
