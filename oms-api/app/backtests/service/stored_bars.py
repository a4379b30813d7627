"""Read the service's own bars as blocks in time order."""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta

from sqlalchemy import Connection, Engine

from app.backtests.errors import InvalidBacktest
from app.backtests.rules.bar_columns import build_columns
from app.backtests.rules.blocks import BarBlock, build_block, scale_columns
from app.clock import Now
from app.database import snapshot
from app.market_data.rules.bars import Interval, get_bar_start
from app.market_data.rules.values import Bar
from app.market_data.service import Market
from app.timestamps import format_timestamp
from slackoms_strategy import BarColumns

BARS_PER_READ = 5_000  # of each symbol
MAX_READ = timedelta(days=27)  # longer bars are made of minutes, of which one read has at most MAX_BARS
ReportInstant = Callable[[datetime], None]  # takes the instant up to which bars were read


class StoredBars:
    """The bars of symbols in [since, until), without a bar that has not ended yet."""

    def __init__(
        self,
        engine: Engine,
        market: Market,
        tenant_id: int,
        symbols: Sequence[str],
        interval: Interval,
        period: tuple[datetime, datetime],
        now: Now,
    ) -> None:
        self._engine, self._market, self._tenant_id = engine, market, tenant_id
        self._symbols, self._interval = sorted(symbols), interval
        self._since, self._until = period[0], min(period[1], get_bar_start(now(), interval))
        self._scales: dict[str, tuple[int, int]] = {}
        self._digest = hashlib.sha256()

    @property
    def data_hash(self) -> str:
        """The hash of the bars, once all were read."""
        return self._digest.hexdigest()

    def read_blocks(self, report: ReportInstant = lambda _: None) -> Iterator[BarBlock]:
        """Yield the bars in the order of (start, symbol).

        Raises InvalidBacktest at the end if a symbol has none.
        """
        length = min(self._interval.length * BARS_PER_READ, MAX_READ)
        start = get_bar_start(self._since, self._interval)
        start = start if start >= self._since else start + self._interval.length
        while start < self._until:
            end = min(start + length, self._until)
            block = self._read_block(start, end)
            if block.columns:
                yield block
            report(end)
            start = end
        self._require_bars()

    def _require_bars(self) -> None:
        missing = ", ".join(symbol for symbol in self._symbols if symbol not in self._scales)
        if missing:
            period = f"from {format_timestamp(self._since)} to {format_timestamp(self._until)}"
            advice = "Check the symbol and the period."
            raise InvalidBacktest(f"There are no bars of {missing} {period}. {advice}")

    def _read_block(self, start: datetime, end: datetime) -> BarBlock:
        with snapshot(self._engine, self._tenant_id) as connection:
            columns_by_symbol = {
                symbol: self._read_symbol(connection, symbol, start, end) for symbol in self._symbols
            }
        return build_block(
            {
                symbol: self._rescale(bar_columns)
                for symbol, bar_columns in columns_by_symbol.items()
                if bar_columns.starts
            }
        )

    def _read_symbol(self, connection: Connection, symbol: str, start: datetime, end: datetime) -> BarColumns:
        bars = self._market.read_bars(connection, self._tenant_id, symbol, self._interval, start, end)
        for bar in bars:
            self._digest.update(_format_bar(bar))
        return build_columns(symbol, int(self._interval.length.total_seconds()), bars)

    def _rescale(self, columns: BarColumns) -> BarColumns:
        """Return the bars with at least the places of earlier ones, so that indicators can go on."""
        places, volume_places = self._scales.get(columns.symbol, (0, 0))
        current = max(places, columns.places), max(volume_places, columns.volume_places)
        self._scales[columns.symbol] = current
        return scale_columns(columns, *current)


def _format_bar(bar: Bar) -> bytes:
    amounts = (bar.open, bar.high, bar.low, bar.close, bar.volume)
    text = ",".join("" if amount is None else f"{amount.normalize():f}" for amount in amounts)
    return f"{bar.symbol},{int(bar.start.timestamp())},{text}\n".encode()
