"""Book interest and borrow fees in a backtest, at the closes at which the service books them."""

from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal

from app.backtests.rules.movements import BacktestCashMovement, MovementKind
from app.backtests.rules.settings import BacktestSettings
from app.backtests.service.account import BacktestAccount
from app.backtests.service.scheduled_events import EventRank, ScheduledEvent
from app.calendars.rules.calendars import Calendar
from app.calendars.sources import ReleasedCalendars
from app.carry.rules.accrual import CarryBasis, CarryPeriod, compute_carry, describe_borrow, describe_interest
from app.money import ZERO
from app.performance.rules.closes import get_next_close, get_pnl_date


class CarryBooker:
    """Books the carry from one close to the next at the second one, for the positions and cash of the first.

    The closes are the exchange's if sessions are enforced, else 00:00 UTC.
    """

    def __init__(
        self, settings: BacktestSettings, account: BacktestAccount, calendars: ReleasedCalendars | None
    ) -> None:
        self._settings, self._account = settings, account
        self._calendar: Calendar | None = None
        if calendars is not None:
            self._calendar = calendars.find_calendar(settings.instruments.exchange, "equity")
        self._since = datetime.min.replace(tzinfo=UTC)
        self._basis = self._build_basis()

    def list_events(self, start: int) -> Iterator[ScheduledEvent]:
        """Yield the closes after the start. A backtest without rates has none."""
        self._since = close = datetime.fromtimestamp(start, UTC)
        self._basis = self._build_basis()
        while self._settings.carry_rates:
            close = get_next_close(self._calendar, close)
            yield ScheduledEvent(int(close.timestamp()), EventRank.CARRY, self._book_costs)

    def _book_costs(self, at: int) -> None:
        close = datetime.fromtimestamp(at, UTC)
        basis, period = self._basis, CarryPeriod(get_pnl_date(self._since), get_pnl_date(close))
        self._since, self._basis = close, self._build_basis()
        amounts = compute_carry(self._settings.carry_rates, basis, period)
        for kind, amount, reason in (
            (MovementKind.INTEREST, amounts.interest, describe_interest(basis, period)),
            (MovementKind.BORROW, amounts.borrow, describe_borrow(basis, period)),
        ):
            self._account.book_movement(BacktestCashMovement(at, kind, amount, reason))

    def _build_basis(self) -> CarryBasis:
        shorts: dict[str, Decimal] = {}
        for key, position in self._account.positions.items():
            if position.quantity < ZERO:
                currency = position.currency or self._settings.currency
                value = abs(self._account.value_position(key, position))
                shorts[currency] = shorts.get(currency, ZERO) + value
        return CarryBasis(self._settings.currency, self._account.cash, shorts)
