"""Stored bars as columns of whole numbers."""

from array import array
from collections.abc import Iterable, Sequence
from decimal import Decimal

from app.market_data.rules.values import Bar
from slackoms_strategy import BarColumns
from slackoms_strategy.values import UNKNOWN_VOLUME


def build_columns(symbol: str, seconds: int, bars: Sequence[Bar]) -> BarColumns:
    """Return bars of one symbol, which are in time order, as columns."""
    rows = [(bar.open, bar.high, bar.low, bar.close) for bar in bars]
    places = count_places(price for row in rows for price in row)
    volume_places = count_places(bar.volume for bar in bars if bar.volume is not None)
    opens, highs, lows, closes = (
        array("q", (int(row[number].scaleb(places)) for row in rows)) for number in range(4)
    )
    volumes = array("q", (_scale_volume(bar.volume, volume_places) for bar in bars))
    starts = array("q", (int(bar.start.timestamp()) for bar in bars))
    return BarColumns(
        symbol=symbol,
        seconds=seconds,
        places=places,
        volume_places=volume_places,
        starts=starts,
        opens=opens,
        highs=highs,
        lows=lows,
        closes=closes,
        volumes=volumes,
    )


def count_places(amounts: Iterable[Decimal]) -> int:
    """Return the largest number of decimals of the amounts, without zeros at the end."""
    return max((max(-int(amount.normalize().as_tuple().exponent), 0) for amount in amounts), default=0)


def _scale_volume(volume: Decimal | None, places: int) -> int:
    return UNKNOWN_VOLUME if volume is None else int(volume.scaleb(places))
