"""Square off the intraday positions of a backtest at the instants at which the service does."""

from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime

from app.backtests.rules.settings import BacktestSettings
from app.backtests.service.account import BacktestAccount
from app.backtests.service.order_manager import OrderManager
from app.backtests.service.scheduled_events import EventRank, ScheduledEvent
from app.calendars.sources import ReleasedCalendars
from app.market_data.rules.bars import Interval
from app.orders.rules.trading_sessions import INTRADAY


class BacktestSquareOff:
    """Cancels the intraday orders of symbols, and closes their positions by market orders."""

    def __init__(self, account: BacktestAccount, orders: OrderManager, symbols: Iterable[str]) -> None:
        self._account, self._orders, self._symbols = account, orders, sorted(symbols)

    def run(self, at: int) -> None:
        """Square off. The closing orders fill at the next bar."""
        for symbol in self._symbols:
            self._orders.cancel_product(symbol, INTRADAY, at)
            quantity = self._account.find_quantity(symbol, INTRADAY)
            if quantity:
                self._orders.close_position(symbol, INTRADAY, quantity, at)


def build_square_offs(
    settings: BacktestSettings, account: BacktestAccount, orders: OrderManager, symbols: Iterable[str],
    calendars: ReleasedCalendars | None, start: int,
) -> Iterator[Iterator[ScheduledEvent]]:  # fmt: skip
    """Yield the events of each asset class. Bars of a day have none: they are longer than a session."""
    if calendars is None or settings.interval is Interval.DAY:
        return
    groups: dict[str, list[str]] = {}
    for symbol in symbols:
        groups.setdefault(orders.get_instrument(symbol).asset_class, []).append(symbol)
    exchange, after = settings.instruments.exchange, datetime.fromtimestamp(start, UTC)
    for asset_class, group in sorted(groups.items()):
        instants = calendars.iterate_square_offs(exchange, asset_class, after)
        yield _list_events(instants, BacktestSquareOff(account, orders, group).run)


def _list_events(instants: Iterable[datetime], run: Callable[[int], None]) -> Iterator[ScheduledEvent]:
    return (ScheduledEvent(int(at.timestamp()), EventRank.SQUARE_OFF, run) for at in instants)
