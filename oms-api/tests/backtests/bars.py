"""Write bars as lines of CSV in a short notation."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta

HEADER = "symbol,start,open,high,low,close,volume"
START = datetime(2026, 1, 5, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def build_line(minute: int, prices: str, symbol: str = "AAPL", volume: str = "100") -> str:
    """Return a bar: "103/105/101.5/104" is open, high, low, close. `minute` counts from START."""
    start = START + minute * MINUTE
    return f"{symbol},{start:%Y-%m-%dT%H:%M:%SZ},{prices.replace('/', ',')},{volume}"


def join_lines(lines: Iterable[str]) -> str:
    """Return lines with their line feeds, as a parser takes them."""
    return "".join(f"{line}\n" for line in lines)


def build_lines_of_closes(closes: Sequence[str], symbol: str = "AAPL") -> list[str]:
    """Return flat bars with these prices, one each minute."""
    return [build_line(minute, "/".join([price] * 4), symbol) for minute, price in enumerate(closes)]
