"""Find the calendar of an instrument, and the start of a date there, from its exchange and asset class."""

from datetime import UTC, date, datetime, time
from zoneinfo import ZoneInfo

from app.calendars.rules.values import CalendarKey, MarketIdentifier, MarketSegment

_MARKETS_BY_EXCHANGE = {
    **dict.fromkeys(
        ("NYSE", "NASDAQ", "ARCA", "AMEX", "BATS", "IEX", "XNYS", "XNAS", "ARCX"), MarketIdentifier.XNYS
    ),
    **dict.fromkeys(("NSE", "XNSE"), MarketIdentifier.XNSE),
    **dict.fromkeys(("BSE", "XBOM"), MarketIdentifier.XBOM),
}
_DERIVATIVE_ASSET_CLASSES = frozenset({"future", "option"})
_INDIAN_TIME = ZoneInfo("Asia/Kolkata")
_ZONES_BY_MARKET = {
    MarketIdentifier.XNYS: ZoneInfo("America/New_York"),
    MarketIdentifier.XNSE: _INDIAN_TIME,
    MarketIdentifier.XBOM: _INDIAN_TIME,
}
_INDIAN_MARKETS = frozenset({MarketIdentifier.XNSE, MarketIdentifier.XBOM})


def find_calendar_key(exchange: str, asset_class: str) -> CalendarKey | None:
    """Return the calendar of an instrument, None if its market is unknown.

    An instrument of an unknown market counts as always open. The service does not know which shares have
    derivatives, so shares of India use the segment SHARES.
    """
    if asset_class == "crypto":
        return CalendarKey(MarketIdentifier.CRYPTO)
    market = _MARKETS_BY_EXCHANGE.get(exchange)
    if market is None:
        return None
    is_derivative = market in _INDIAN_MARKETS and asset_class in _DERIVATIVE_ASSET_CLASSES
    return CalendarKey(market, MarketSegment.EQUITY_DERIVATIVES if is_derivative else MarketSegment.SHARES)


def compute_day_start(day: date, exchange: str, asset_class: str) -> datetime:
    """Return the beginning of a date in the market of the exchange, in UTC.

    The date of an unknown market and of a market around the clock is a date in UTC. A corporate action takes
    effect at the beginning of its ex-date.
    """
    key = find_calendar_key(exchange, asset_class)
    zone = UTC if key is None else _ZONES_BY_MARKET.get(key.market, UTC)
    return datetime.combine(day, time(), zone).astimezone(UTC)
