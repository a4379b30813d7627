"""Tables are split by symbol, and columns are joined."""

from app.backtests.rules.bar_parsing import BarParser
from app.backtests.rules.blocks import build_block, join_columns, scale_columns, split_table
from app.market_data.rules.bars import Interval
from slackoms_strategy.values import UNKNOWN_VOLUME
from tests.backtests.bars import build_line, join_lines


def _split(*lines):
    return split_table(BarParser(Interval.MINUTE).parse(join_lines(lines)))


def test_table_of_one_symbol_is_its_columns():
    columns = _split(build_line(0, "1/1/1/1"), build_line(1, "2/2/2/2"))
    block = build_block(columns)
    assert (block.order, block.size) == (None, 2)
    assert list(columns["AAPL"].opens) == [100, 200]


def test_order_is_by_start_and_symbol():
    columns = _split(build_line(0, "1/1/1/1"), build_line(0, "2/2/2/2", "MSFT"), build_line(1, "3/3/3/3"))
    assert [list(column.opens) for column in columns.values()] == [[100, 300], [200]]
    assert build_block(columns).order == ["AAPL", "MSFT", "AAPL"]


def test_joined_columns_have_the_finest_places_of_both():
    first = _split(build_line(0, "1/1/1/1", volume=""))["AAPL"]
    second = _split(build_line(1, "1.125/2/1/1", volume="0.5"))["AAPL"]
    joined = join_columns([first, second])
    assert (joined.places, joined.volume_places) == (4, 8)
    assert list(joined.opens) == [10_000, 11_250]
    assert list(joined.volumes) == [UNKNOWN_VOLUME, 50_000_000]
    assert join_columns([first]) is first
    assert scale_columns(first, 2, 0) is first
