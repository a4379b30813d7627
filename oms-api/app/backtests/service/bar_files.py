"""Read CSV files of bars, one or a folder of them, as blocks in time order."""

import hashlib
from bisect import bisect_left
from collections.abc import Callable, Collection, Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from app.backtests.errors import InvalidBacktest
from app.backtests.rules.bar_parsing import BarParser
from app.backtests.rules.blocks import (
    BarBlock,
    BarTable,
    build_block,
    join_columns,
    scale_columns,
    split_table,
)
from app.market_data.rules.bars import Interval
from app.market_data.rules.price_files import PriceFileError
from slackoms_strategy import BarColumns

CHUNK_BYTES = 262_144  # of all files together: larger ones do not fit into the processor's cache
_MIN_CHUNK_BYTES = 16_384
_END_OF_TIME = 2**62
ReportBytes = Callable[[int], None]  # takes the number of bytes read so far


class BarSelection(NamedTuple):
    """The bars to read: symbols (empty for all), and seconds since 1970 as [start, end)."""

    symbols: Collection[str] = ()
    start: int = -_END_OF_TIME
    end: int = _END_OF_TIME


_ALL_BARS = BarSelection()


class BarFile:
    """A file of bars. `digest` is the hash of the content read so far."""

    def __init__(self, path: Path, parser: BarParser, chunk_bytes: int) -> None:
        self.path, self._parser, self._chunk_bytes = path, parser, chunk_bytes
        self.digest = hashlib.sha256()

    def read_tables(self, report: ReportBytes) -> Iterator[BarTable]:
        """Yield the bars. Raises InvalidBacktest at the first wrong line."""
        try:
            yield from self._parse_chunks(report)
        except (PriceFileError, UnicodeDecodeError, OSError) as error:
            raise InvalidBacktest(f"{self.path}: {error}") from None

    def _parse_chunks(self, report: ReportBytes) -> Iterator[BarTable]:
        with self.path.open("rb") as file:
            header = file.readline()
            self._parser.check_header(self._decode_chunk(header).rstrip("\n"))
            byte_count = len(header)
            while chunk := file.read(self._chunk_bytes):
                chunk += file.readline()  # up to the end of the line
                byte_count += len(chunk)
                yield self._parser.parse(self._decode_chunk(chunk))
                report(byte_count)

    def _decode_chunk(self, chunk: bytes) -> str:
        self.digest.update(chunk)
        text = chunk.decode("utf-8").replace("\r\n", "\n")
        return text if text.endswith("\n") else f"{text}\n"


class _Source:
    """A file that is read ahead. `reached` is the start of the last bar read: earlier ones are complete."""

    def __init__(self, file: BarFile, selection: BarSelection, report: ReportBytes) -> None:
        self.file = file
        self._tables = file.read_tables(report)
        self._selection = selection
        self.pending: dict[str, BarColumns] = {}
        self.reached = -_END_OF_TIME

    def read(self) -> None:
        """Read the next chunk, and set `reached` to the end of time after the last one."""
        table = next(self._tables, None)
        if table is None:
            self.reached = _END_OF_TIME
            return
        self.reached = table.starts[-1]
        for symbol, columns in split_table(table).items():
            selected = self._select_bars(columns)
            if selected.starts:
                bar_columns = self.pending.get(symbol)
                self.pending[symbol] = join_columns([bar_columns, selected] if bar_columns else [selected])

    def take(self, end: int) -> Iterator[BarColumns]:
        """Yield and remove the bars that begin before `end`."""
        for symbol, columns in list(self.pending.items()):
            count = bisect_left(columns.starts, end)
            if count == len(columns.starts):
                yield self.pending.pop(symbol)
            elif count:
                self.pending[symbol] = columns.rows(count, len(columns.starts))
                yield columns.rows(0, count)

    def _select_bars(self, columns: BarColumns) -> BarColumns:
        symbols, start, end = self._selection
        starts = columns.starts
        if symbols and columns.symbol not in symbols:
            return columns.rows(0, 0)
        if starts[0] >= start and starts[-1] < end:
            return columns
        return columns.rows(bisect_left(starts, start), bisect_left(starts, end))


class BarFiles:
    """The bars of one CSV file, or of all CSV files of a folder."""

    def __init__(
        self, path: Path, interval: Interval, selection: BarSelection = _ALL_BARS, *,
        allow_gaps: bool = False,
    ) -> None:  # fmt: skip
        paths = sorted(path.glob("*.csv")) if path.is_dir() else [path]
        if not paths:
            raise InvalidBacktest(f"{path}: there is no CSV file.")
        size = max(CHUNK_BYTES // len(paths), _MIN_CHUNK_BYTES)
        self._files = [BarFile(path, BarParser(interval, allow_gaps=allow_gaps), size) for path in paths]
        self._selections = [selection] * len(paths)
        self._scales: dict[str, tuple[int, int]] = {}

    def append(self, other: "BarFiles") -> None:
        """Read the files of another one too."""
        self._files += other._files
        self._selections += other._selections

    @property
    def data_hash(self) -> str:
        """The hash of the files, once all were read."""
        digests = "\n".join(file.digest.hexdigest() for file in self._files)
        return hashlib.sha256(digests.encode()).hexdigest()

    def list_symbols(self) -> list[str]:
        """Return the symbols of the files, sorted. Raises InvalidBacktest if one cannot be read."""
        symbol_fields: set[bytes] = set()
        try:
            for bar_file in self._files:
                with bar_file.path.open("rb") as file:
                    file.readline()
                    symbol_fields.update(line.partition(b",")[0] for line in file)
        except OSError as error:
            raise InvalidBacktest(str(error)) from None
        return sorted(
            symbol.decode(errors="replace").strip().strip('"').upper() for symbol in symbol_fields if symbol
        )

    def count_bytes(self) -> int:
        """Return the size of the files. Raises InvalidBacktest if one cannot be read."""
        try:
            return sum(file.path.stat().st_size for file in self._files)
        except OSError as error:
            raise InvalidBacktest(str(error)) from None

    def read_blocks(self, report: ReportBytes = lambda _: None) -> Iterator[BarBlock]:
        """Yield the selected bars in the order of (start, symbol), all of one start in one block."""
        progress = [0] * len(self._files)

        def track(index: int) -> ReportBytes:
            def update(byte_count: int) -> None:
                progress[index] = byte_count
                report(sum(progress))

            return update

        pairs = zip(self._files, self._selections, strict=True)
        sources = [_Source(file, selection, track(index)) for index, (file, selection) in enumerate(pairs)]
        end = -_END_OF_TIME
        while end < _END_OF_TIME:
            for source in sources:
                if source.reached == end:
                    source.read()
            end = min(source.reached for source in sources)
            block = self._build_block([part for source in sources for part in source.take(end)])
            if block.columns:
                yield block

    def _build_block(self, parts: Sequence[BarColumns]) -> BarBlock:
        by_symbol: dict[str, list[BarColumns]] = {}
        for part in parts:
            by_symbol.setdefault(part.symbol, []).append(part)
        columns = {}
        for symbol, symbol_columns in sorted(by_symbol.items()):
            symbol_columns.sort(key=lambda bar_columns: bar_columns.starts[0])
            joined_columns = join_columns(symbol_columns)
            if len(symbol_columns) > 1 and any(
                bar_columns.starts[-1] >= other.starts[0] for bar_columns, other in pairwise(symbol_columns)
            ):
                raise InvalidBacktest(f"Two files have bars of {symbol} of the same time.")
            columns[symbol] = self._rescale(joined_columns)
        return build_block(columns)

    def _rescale(self, columns: BarColumns) -> BarColumns:
        """Return the bars with at least the places of earlier ones, so that indicators can go on."""
        places, volume_places = self._scales.get(columns.symbol, (0, 0))
        current = max(places, columns.places), max(volume_places, columns.volume_places)
        self._scales[columns.symbol] = current
        return scale_columns(columns, *current)
