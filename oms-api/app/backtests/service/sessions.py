"""The trading sessions of a backtest's instruments: when orders may fill, and when they end."""

from datetime import UTC, datetime

from app.backtests.errors import InvalidBacktest
from app.backtests.rules.settings import BacktestSettings
from app.calendars.errors import SessionsUnknown
from app.calendars.rules.calendars import Calendar
from app.calendars.sources import ReleasedCalendars
from app.instruments.rules import Instrument
from app.market_data.rules.bars import Interval
from app.orders.rules.trading_sessions import INTRADAY, describe_square_off
from app.orders.rules.values import Ticket, TimeInForce
from app.risk.rules.values import Denial


class BacktestSessions:
    """The sessions of instruments. Without calendars, an instrument is always open."""

    def __init__(self, settings: BacktestSettings, calendars: ReleasedCalendars | None) -> None:
        self._settings, self._calendars = settings, calendars
        self.are_enforced = calendars is not None

    def is_open(self, instrument: Instrument, start: datetime) -> bool:
        """Return whether a bar that begins then is of a session. A bar of a day always is."""
        calendar = self._find_calendar(instrument)
        if calendar is None or self._settings.interval is Interval.DAY:
            return True
        try:
            return calendar.find_session(start) is not None
        except SessionsUnknown as unknown:
            raise InvalidBacktest(unknown.detail) from None

    def find_end(self, instrument: Instrument, ticket: Ticket, at: datetime) -> datetime | None:
        """Return when an order ends that was placed at an instant, None if it has no end."""
        if ticket.expires_at is not None:
            return datetime.fromisoformat(ticket.expires_at)
        calendar = self._find_calendar(instrument)
        if calendar is None or ticket.time_in_force is not TimeInForce.DAY:
            return None  # without sessions, a DAY order has no end, as in the service
        try:
            return calendar.get_session_or_next(at).close
        except SessionsUnknown as unknown:
            raise InvalidBacktest(unknown.detail) from None

    def find_denial(self, instrument: Instrument, product_name: str, at: int) -> Denial | None:
        """Return the denial of an intraday order between the square-off and the close, else None."""
        calendar = self._find_calendar(instrument) if product_name == INTRADAY else None
        if calendar is None or self._calendars is None:
            return None
        instant = datetime.fromtimestamp(at, UTC)
        terms = (instrument.exchange, instrument.asset_class)
        squared_off = self._calendars.find_last_square_off(*terms, instant)
        try:
            session = calendar.find_session(instant)
        except SessionsUnknown as unknown:
            raise InvalidBacktest(unknown.detail) from None
        if squared_off is None or session is None or squared_off < session.open:
            return None
        return Denial("SESSION_CLOSED", describe_square_off(squared_off))

    def _find_calendar(self, instrument: Instrument) -> Calendar | None:
        if self._calendars is None:
            return None
        return self._calendars.find_calendar(instrument.exchange, instrument.asset_class)
