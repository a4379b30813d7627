"""Finds the calendar of an instrument from its exchange and its asset class."""

from app.calendars.rules.values import CalendarKey, Market, Segment

_MARKETS = {
    **dict.fromkeys(("NYSE", "NASDAQ", "ARCA", "AMEX", "BATS", "IEX", "XNYS", "XNAS", "ARCX"), Market.XNYS),
    **dict.fromkeys(("NSE", "XNSE"), Market.XNSE),
    **dict.fromkeys(("BSE", "XBOM"), Market.XBOM),
}
_DERIVATIVES = frozenset({"future", "option"})
_INDIA = frozenset({Market.XNSE, Market.XBOM})


def find_calendar_key(exchange: str, asset_class: str) -> CalendarKey | None:
    """Return the calendar of an instrument, None if its market is unknown.

    An instrument of an unknown market counts as always open. The service does not know which shares have
    derivatives, so shares of India use the segment SHARES.
    """
    if asset_class == "crypto":
        return CalendarKey(Market.CRYPTO)
    market = _MARKETS.get(exchange)
    if market is None:
        return None
    is_derivative = market in _INDIA and asset_class in _DERIVATIVES
    return CalendarKey(market, Segment.EQUITY_DERIVATIVES if is_derivative else Segment.SHARES)
