"""When the cash of a trade is settled, by the cycle of its market."""

from datetime import date, datetime
from decimal import Decimal
from typing import NamedTuple
from zoneinfo import ZoneInfo

from app.calendars.rules.values import Market
from app.costs.rules.markets import Exchange

_ZONES = {Market.XNYS: "America/New_York", Market.XNSE: "Asia/Kolkata", Market.XBOM: "Asia/Kolkata"}
_OF_CURRENCY = {"INR": Market.XNSE}
_OF_EXCHANGE: dict[str, Market] = {Exchange.NSE: Market.XNSE, Exchange.BSE: Market.XBOM}


class SettlementTerms(NamedTuple):
    """What determines the market of a trade.

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


def find_market(terms: SettlementTerms) -> Market:
    """Return the market whose cycle settles a trade.

    It is that of the exchange, else the portfolio's calendar, else the market of the currency. Crypto settles
    like its market, at once.
    """
    if terms.asset_class == "crypto":
        return Market.CRYPTO
    if terms.exchange in set(Exchange):
        return _OF_EXCHANGE.get(terms.exchange, Market.XNYS)
    if terms.calendar is not None:
        return Market(terms.calendar)
    return _OF_CURRENCY.get(terms.currency, Market.XNYS)


def local_date(market: Market, instant: datetime) -> date:
    """Return the date of the instant at the market."""
    zone = _ZONES.get(market)
    return (instant if zone is None else instant.astimezone(ZoneInfo(zone))).date()
