"""Files of bars are read in blocks, in the order of time, whatever the size of a chunk."""

import hashlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.backtests.errors import InvalidBacktest
from app.backtests.service.bar_files import BarFiles, BarSelection
from app.market_data.rules.bars import Interval
from tests.backtests.bars import HEADER, START, build_line, build_lines_of_closes, join_lines

SYMBOLS = ("AAPL", "BRK.B", "MSFT")
EVERYTHING = BarSelection()


def _write(folder, name, lines):
    path = folder / name
    path.write_text(join_lines([HEADER, *lines]), encoding="utf-8")
    return path


def _read(path, selection=EVERYTHING):
    bars, files = [], BarFiles(path, Interval.MINUTE, selection)
    for block in files.read_blocks():
        order = block.order or [
            symbol for symbol, bar_columns in block.columns.items() for _ in bar_columns.starts
        ]
        rows = dict.fromkeys(block.columns, 0)
        for symbol in order:
            columns, row = block.columns[symbol], rows[symbol]
            bars.append((columns.starts[row], symbol, columns.closes[row] / 10**columns.places))
            rows[symbol] += 1
    return bars, files


@settings(max_examples=25)
@given(
    st.sets(st.tuples(st.integers(0, 40), st.sampled_from(SYMBOLS)), min_size=1),
    st.integers(1, 400),
    st.booleans(),
)
def test_bars_come_in_the_order_of_start_and_symbol(tmp_path_factory, keys, chunk_bytes, is_split):
    folder = tmp_path_factory.mktemp("bars")
    rows = [build_line(minute, "1/1/1/1", symbol) for minute, symbol in sorted(keys)]
    if is_split:
        for symbol in SYMBOLS:
            _write(folder, f"{symbol}.csv", [row for row in rows if row.startswith(f"{symbol},")])
    path = folder if is_split else _write(folder, "all.csv", rows)
    files = BarFiles(path, Interval.MINUTE, allow_gaps=True)
    for file in files._files:
        file._chunk_bytes = chunk_bytes
    bars = [
        (start, symbol)
        for block in files.read_blocks()
        for start, symbol in sorted(
            (start, symbol) for symbol, bar_columns in block.columns.items() for start in bar_columns.starts
        )
    ]
    origin = int(START.timestamp())
    assert bars == [(origin + 60 * minute, symbol) for minute, symbol in sorted(keys)]


def test_selection_filters_bars_and_the_data_has_a_hash(tmp_path):
    path = _write(tmp_path, "bars.csv", build_lines_of_closes(["1", "2", "3", "4"]))
    origin = int(START.timestamp())
    bars, files = _read(path, BarSelection(("AAPL",), origin + 60, origin + 180))
    assert [close for _, _, close in bars] == [2, 3]
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    assert files.data_hash == hashlib.sha256(digest.encode()).hexdigest()
    assert _read(path, BarSelection(("MSFT",)))[0] == []
    assert files.list_symbols() == ["AAPL"]


def test_later_file_continues_a_symbol_with_at_least_its_places(tmp_path):
    _write(tmp_path, "1.csv", [build_line(0, "1.125/2/1/1.125")])
    _write(tmp_path, "2.csv", [build_line(1, "2/2/2/2")])
    blocks = list(BarFiles(tmp_path, Interval.MINUTE).read_blocks())
    assert [block.columns["AAPL"].places for block in blocks][-1] == 4
    assert [close for _, _, close in _read(tmp_path)[0]] == [1.125, 2]


def test_windows_line_ends_and_a_missing_last_one_are_read(tmp_path):
    path = tmp_path / "bars.csv"
    path.write_bytes("\r\n".join([HEADER, *build_lines_of_closes(["1", "2"])]).encode())
    assert len(_read(path)[0]) == 2


@pytest.mark.parametrize(
    ("content", "problem"),
    [(b"", "line 1: the header must be"), (b"\xff\xfe", "can't decode"), (None, "No such file")],
)
def test_unreadable_file_is_named(tmp_path, content, problem):
    path = tmp_path / "bars.csv"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InvalidBacktest, match=problem):
        _read(path)


def test_folder_needs_files_whose_bars_differ(tmp_path):
    with pytest.raises(InvalidBacktest, match="there is no CSV file"):
        BarFiles(tmp_path, Interval.MINUTE)
    for name in ("1.csv", "2.csv"):
        _write(tmp_path, name, build_lines_of_closes(["1"]))
    with pytest.raises(InvalidBacktest, match="Two files have bars of AAPL of the same time"):
        _read(tmp_path)
    missing = BarFiles(tmp_path / "none.csv", Interval.MINUTE)
    with pytest.raises(InvalidBacktest, match="No such file"):
        missing.count_bytes()
    with pytest.raises(InvalidBacktest, match="No such file"):
        missing.list_symbols()
