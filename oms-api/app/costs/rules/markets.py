"""Exchanges, their markets, and the schedules that cover a market."""

from datetime import date, datetime
from enum import StrEnum
from typing import NamedTuple
from zoneinfo import ZoneInfo

from app.costs.rules.values import OrderTerms, Schedule


class CostMarket(NamedTuple):
    """A market: its ISO country code, its currency, and the time zone of its trading day."""

    code: str
    currency: str
    time_zone: str


INDIA = CostMarket("IN", "INR", "Asia/Kolkata")
UNITED_STATES = CostMarket("US", "USD", "America/New_York")


class Exchange(StrEnum):
    """The code of an exchange, as instruments name it."""

    NSE = "NSE"
    BSE = "BSE"
    NYSE = "NYSE"
    NASDAQ = "NASDAQ"
    ARCA = "ARCA"
    AMEX = "AMEX"
    BATS = "BATS"
    IEX = "IEX"


MARKETS: dict[str, CostMarket] = {
    Exchange.NSE: INDIA,
    Exchange.BSE: INDIA,
    **dict.fromkeys(
        (Exchange.NYSE, Exchange.NASDAQ, Exchange.ARCA, Exchange.AMEX, Exchange.BATS, Exchange.IEX),
        UNITED_STATES,
    ),
}
_COVERED = {Schedule.ZERODHA: INDIA, Schedule.US_EQUITY: UNITED_STATES, Schedule.IBKR_FIXED: UNITED_STATES}
_DERIVATIVES_PRODUCT = "NRML"  # the schedules only have rates of shares


def get_trading_day(exchange: str, instant: datetime) -> date:
    """Return the date of the instant in the time zone of the exchange."""
    return instant.astimezone(ZoneInfo(MARKETS[exchange].time_zone)).date()


def is_covered(order: OrderTerms) -> bool:
    """Return whether the schedule has rates for the order. Other orders are charged nothing."""
    if order.schedule is Schedule.NONE:
        return True
    if order.product == _DERIVATIVES_PRODUCT:
        return False
    return MARKETS.get(order.exchange) is _COVERED[order.schedule]
