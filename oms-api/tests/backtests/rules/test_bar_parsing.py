"""Bars are parsed exactly, and a wrong line is named."""

from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.backtests.rules.bar_parsing import BarParser
from app.backtests.rules.blocks import BarTable
from app.market_data.rules.bars import Interval
from app.market_data.rules.price_files import PriceFileError
from slackoms_strategy.values import UNKNOWN_VOLUME
from tests.backtests.bars import HEADER, build_line, join_lines

GOOD = [build_line(0, "10/11/9/10"), build_line(1, "10/11.5/9.25/10")]


def _parse(lines, **options):
    return BarParser(Interval.MINUTE, **options).parse(join_lines(lines))


def _build_prices(table: BarTable):
    columns = (table.opens, table.highs, table.lows, table.closes)
    return [[Decimal(price).scaleb(-table.places) for price in column] for column in columns]


def test_bars_become_columns_of_whole_numbers():
    table = _parse(GOOD)
    assert (table.symbols, table.places, table.seconds) == ("AAPL", 2, 60)
    assert list(table.highs) == [1100, 1150]
    assert list(table.starts) == [1767571200, 1767571260]
    assert list(table.volumes) == [100, 100]


def test_parser_goes_on_in_the_next_chunk():
    parser = BarParser(Interval.MINUTE)
    parser.check_header(HEADER)
    parser.parse(join_lines(GOOD))
    with pytest.raises(PriceFileError, match="line 5: `high` is below another price of the bar"):
        parser.parse(join_lines([build_line(2, "10/11/9/10"), build_line(3, "10/9/9/10")]))
    with pytest.raises(PriceFileError, match="line 4: the bars must be sorted"):
        parser.parse(join_lines([build_line(1, "10/11/9/10")]))


@pytest.mark.parametrize("places", [2, 3, 6, 8])
@settings(max_examples=20)
@given(st.data())
def test_prices_are_exact(places, strategy):
    integers = st.integers(1, 10 ** (6 + places) - 1)
    opens = strategy.draw(st.lists(integers, min_size=1, max_size=5))
    amounts = [Decimal(price).scaleb(-places) for price in opens]
    lines = [
        build_line(number, f"{amount:f}/{amount:f}/{amount:f}/{amount:f}")
        for number, amount in enumerate(amounts)
    ]
    assert _build_prices(_parse(lines))[0] == amounts


@pytest.mark.parametrize(
    ("lines", "problem"),
    [
        ([build_line(1, "1/1/1/1"), build_line(0, "1/1/1/1")], "line 3: the bars must be sorted by `start`"),
        ([build_line(0, "1/1/1/1"), build_line(0, "1/1/1/1")],
         "line 3: a second bar of AAPL with this start"),
        ([build_line(0, "1/1/1/1"), build_line(0, "1/1/1/1", "AAA")], "line 3: the bars must be sorted"),
        ([build_line(0, "1/1/1/1"), build_line(2, "1/1/1/1")],
         "line 3: a bar of AAPL before .* is missing on that day"),
        ([build_line(0, "1/1/0/1")], "line 2: `low` must be positive"),
        ([build_line(0, "-1/1/-1/1")], "line 2: `open` must be positive"),
        ([build_line(0, "1/1/1.5/2")], "line 2: `high` is below another price"),
        ([build_line(0, "2/2/1.5/1")], "line 2: `low` is above another price"),
        ([build_line(0, "nan/1/1/1")], "line 2: `open` must be a number"),
        ([build_line(0, "1e2/1/1/1")], "line 2: `open` must be a number"),
        ([build_line(0, "1/1/1/1").replace("Z", "+05:30")], "line 2: `start` must be in UTC"),
        ([build_line(0, "1/1/1/1").replace("Z", "")], "line 2: `start` must be in UTC"),
        ([build_line(0, "1/1/1/1").replace(":00Z", ":30Z")],
         "line 2: `start` must be a multiple of 1m in UTC"),
        ([build_line(0, "1/1/1/1").replace(":00Z", ":00.5Z")],
         "line 2: `start` must be a multiple of 1m in UTC"),
        ([build_line(0, "1/1/1/1").replace("-05T", "-35T")], "line 2: `start` must be a time"),
        ([build_line(0, "1/1/1/1").replace(":00Z", ":77Z")], "line 2: `start` must be a time"),
        ([build_line(0, "1/1/1/1") + ",1"], "line 2: the row has 8 cells"),
        ([build_line(0, "1/1/1/1", volume="-3")], "line 2: `volume` must be at least 0"),
        ([build_line(0, "9999999999999999.12345678/9999999999999999.12345678/1/1")],
         "line 2: .* is too large"),
    ],
)  # fmt: skip
def test_wrong_line_is_named(lines, problem):
    with pytest.raises(PriceFileError, match=problem):
        _parse(lines)


def test_wrong_header_is_named():
    with pytest.raises(PriceFileError, match="line 1: the header must be symbol,start"):
        BarParser(Interval.MINUTE).check_header("time,open,high,low,close")


def test_only_gaps_within_a_day_count_unless_allowed():
    evening, next_day, later = (
        build_line(1439, "1/1/1/1"),
        build_line(1440 + 60, "1/1/1/1"),
        build_line(1440 + 62, "1/1/1/1"),
    )
    assert len(_parse([evening, next_day]).starts) == 2
    with pytest.raises(PriceFileError, match="line 4"):
        _parse([evening, next_day, later])
    assert len(_parse([evening, next_day, later], allow_gaps=True).starts) == 3


def test_gap_is_found_across_chunks_and_symbols():
    both = [build_line(0, "1/1/1/1"), build_line(0, "2/2/2/2", "MSFT"), build_line(1, "1/1/1/1")]
    parser = BarParser(Interval.MINUTE)
    parser.parse(join_lines(both))
    with pytest.raises(PriceFileError, match="line 6: a bar of MSFT before 2026-01-05T00:02Z is missing"):
        parser.parse(join_lines([build_line(2, "1/1/1/1"), build_line(2, "2/2/2/2", "MSFT")]))


def test_volumes_may_be_unknown_have_decimals_or_many_digits():
    first, second = build_line(0, "1/1/1/1", volume="0.5"), build_line(1, "1/1/1/1", volume="")
    table = _parse([first, second])
    assert table.volume_places == 8
    assert list(table.volumes) == [50_000_000, UNKNOWN_VOLUME]
    parser = BarParser(Interval.MINUTE)
    parser.parse(join_lines([first]))
    assert list(parser.parse(join_lines([build_line(1, "1/1/1/1", volume="2")])).volumes) == [200_000_000]
    assert list(_parse([second, build_line(2, "1/1/1/1")]).volumes) == [UNKNOWN_VOLUME, 100]
    large = [build_line(0, "1/1/1/1", volume="20000000"), build_line(1, "1/1/1/1", volume="0.5")]
    assert list(_parse(large).volumes) == [2_000_000_000_000_000, 50_000_000]


def test_unusual_lines_are_read_one_by_one():
    table = _parse([build_line(0, "1/1/1/1", "aapl"), build_line(1, "1/2/1/1.5")])
    assert table.symbols == "AAPL"
    assert list(table.closes) == [100, 150]
    table = _parse([build_line(0, '"1.125"/2/1/1'), build_line(0, "1/2/1/1.5", "MSFT", volume="0.25")])
    assert list(table.symbols) == ["AAPL", "MSFT"]
    assert _build_prices(table)[0] == [Decimal("1.125"), Decimal(1)]


def test_symbols_are_parsed_together():
    table = _parse([build_line(0, "1/1/1/1"), build_line(0, "2/2/2/2", "BRK.B"), build_line(1, "3/3/3/3")])
    assert list(table.symbols) == ["AAPL", "BRK.B", "AAPL"]
    assert list(table.opens) == [100, 200, 300]
