"""Files of bars and of ticks are read in order, and the first bad line is named."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.market_data.rules.bars import fold_quotes
from app.market_data.rules.price_files import SOURCE, PriceFileError, list_bar_quotes, read_price_rows
from app.market_data.rules.values import Bar, Quote

BARS = "symbol,start,open,high,low,close,volume"
TICKS = "symbol,at,bid,ask,last"
SIZED = f"{TICKS},bid_size,ask_size"
NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
FIRST = "AAPL,2026-11-20T12:00:00Z,100,103,98,101,5000"
prices = st.integers(1, 10**6).map(lambda cents: Decimal(cents) / 100)


def read_prices(*lines):
    return [value for _, value in read_price_rows(f"{line}\r\n" for line in lines)]


def test_bars_are_read_with_their_line_numbers():
    second = "brk.b,2026-11-20T12:00:00+00:00,1,1,1,1,"
    rows = list(read_price_rows([f"{line}\n" for line in (BARS, FIRST, second)]))
    assert [line for line, _ in rows] == [2, 3]
    assert rows[0].value == Bar("AAPL", NOON, *map(Decimal, (100, 103, 98, 101, 5000)))
    assert rows[1].value == Bar("BRK.B", NOON, *map(Decimal, (1, 1, 1, 1)))


def test_ticks_are_read_with_and_without_sizes():
    assert read_prices(TICKS, "X,2026-11-20T12:00:00Z,1,2,", "X,2026-11-20T12:00:00Z,,,3") == [
        Quote("X", Decimal(1), Decimal(2), None, None, None, NOON, SOURCE),
        Quote("X", None, None, Decimal(3), None, None, NOON, SOURCE),
    ]
    assert read_prices(SIZED, "X,2026-11-20T12:00:00Z,1,1,,0,7")[0][4:6] == (0, 7)


@pytest.mark.parametrize(
    ("lines", "line", "problem"),
    [
        ((), 1, "the header must be"),
        (("symbol,time,open",), 1, "the header must be"),
        ((BARS, "AAPL,2026-11-20T12:00:00Z,1"), 2, "3 cells"),
        ((BARS, FIRST, "AA PL,2026-11-20T12:00:00Z,1,1,1,1,"), 3, "is not a symbol"),
        ((BARS, "X,noon,1,1,1,1,"), 2, "`start` must be a time"),
        ((BARS, "X,2026-11-20T12:00:00,1,1,1,1,"), 2, "in UTC"),
        ((BARS, "X,2026-11-20T12:00:00+05:30,1,1,1,1,"), 2, "in UTC"),
        ((BARS, "X,2026-11-20T12:00:00Z,1e2,1,1,1,"), 2, "`open` must be a number"),
        ((BARS, "X,2026-11-20T12:00:00Z,,1,1,1,"), 2, "`open` must be a number"),
        ((BARS, "X,2026-11-20T12:00:00Z,1.123456789,2,1,1,"), 2, "`open` must be a number"),
        ((BARS, "X,2026-11-20T12:00:00Z,1,1,0,1,"), 2, "`low` must be positive"),
        ((BARS, "X,2026-11-20T12:00:00Z,1,1,-1,1,"), 2, "`low` must be positive"),
        ((BARS, "X,2026-11-20T12:00:00Z,1,1,1,1,-1"), 2, "`volume` must be at least 0"),
        ((BARS, "X,2026-11-20T12:00:00Z,1,2,1,3,"), 2, "`high` is below"),
        ((BARS, "X,2026-11-20T12:00:00Z,1,2,2,2,"), 2, "`low` is above"),
        ((BARS, FIRST, FIRST), 3, "a second bar of AAPL"),
        ((BARS, FIRST, FIRST.replace("AAPL", "AAA")), 3, "sorted by `start`"),
        ((BARS, FIRST, FIRST.replace("T12", "T11")), 3, "sorted by `start`"),
        ((TICKS, "X,2026-11-20T12:00:00Z,,,"), 2, "is needed"),
        ((TICKS, "X,2026-11-20T12:00:00Z,2,1,"), 2, "`bid` is above"),
        ((TICKS, "X,2026-11-20T12:00:00Z,1,,", "X,2026-11-20T11:59:59Z,1,,"), 3, "sorted by `at`"),
        ((TICKS, 'X,"2026'), 2, ""),
    ],
)
def test_first_bad_line_is_named(lines, line, problem):
    with pytest.raises(PriceFileError, match=f"line {line}: .*{problem}") as raised:
        read_prices(*lines)
    assert raised.value.line == line


@given(st.tuples(prices, prices, prices, prices))
def test_quotes_of_a_bar_fold_into_the_bar_again(drawn):
    bar = Bar("X", NOON, drawn[0], max(drawn), min(drawn), drawn[3])
    points = list_bar_quotes(bar, MINUTE)
    assert [point.at - NOON for point in points] == [MINUTE * third / 3 for third in range(4)]
    within = [point._replace(at=min(point.at, NOON + MINUTE - timedelta.resolution)) for point in points]
    assert fold_quotes(within) == [bar]
    rises = bar.close >= bar.open
    assert points[1].last == (bar.low if rises else bar.high)
