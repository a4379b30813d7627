"""Recognize quotes that are the close of the last session of their market, while it is closed."""

from collections.abc import Mapping
from datetime import datetime, timedelta

from sqlalchemy import Connection

from app.calendars.errors import SessionsUnknown
from app.calendars.rules.calendars import Calendar
from app.calendars.rules.values import TradingSession
from app.calendars.service import Calendars
from app.instruments.queries import load_instruments
from app.instruments.rules import InstrumentKey
from app.market_data.rules.values import CLOSE, Quote

MIN_AGE = timedelta(seconds=60)  # a younger quote is current anyway


def load_session_closes(
    connection: Connection, calendars: Calendars, quotes: Mapping[InstrumentKey, Quote], at: datetime
) -> dict[InstrumentKey, Quote]:
    """Return the quotes that are the last of a session that has closed, as its closing prices.

    A closing price is not stale until the next open. A quote that arrived after the close stays a quote.
    """
    old = [key for key, quote in quotes.items() if at - quote.at > MIN_AGE]
    closes = {}
    for key, terms in (load_instruments(connection, old) if old else {}).items():
        calendar = calendars.find_calendar(terms.exchange, terms.asset_class)
        session = None if calendar is None else find_closed_session(calendar, at)
        if session is not None and session.open <= quotes[key].at <= session.close:
            closes[key] = quotes[key]._replace(at=session.close, source=CLOSE)
    return closes


def find_closed_session(calendar: Calendar, at: datetime) -> TradingSession | None:
    """Return the last session before an instant, None while one is open or where sessions are unknown."""
    try:
        session = calendar.get_session_or_previous(at)
    except SessionsUnknown:
        return None
    return session if session.close <= at else None
