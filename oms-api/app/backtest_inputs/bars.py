"""The bars of a backtest as its command reads them, and the files that it reads."""

import argparse
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from app.backtests.errors import InvalidBacktest
from app.backtests.rules.blocks import BarBlock
from app.backtests.rules.currency_pairs import parse_pair
from app.backtests.service.bar_files import BarFiles, BarSelection
from app.ledger.rules.corporate_actions import CorporateActionTerms

STORED = "bars"  # the value of --data for the service's own bars
ReportProgress = Callable[[int], None]  # takes how much of `size` was read


class OpenBars(NamedTuple):
    """Bars to run a strategy on, and bars of the currency pairs `rate_symbols`, which it does not get.

    `size` is what `read_blocks` reports at the end, in `unit`. `actions` are the corporate actions that are
    stored beside the bars. `get_data_hash` returns the hash of the bars once all were read.
    """

    symbols: Sequence[str]
    size: int
    unit: str
    read_blocks: Callable[[ReportProgress], Iterator[BarBlock]]
    get_data_hash: Callable[[], str]
    actions: tuple[CorporateActionTerms, ...] = ()
    rate_symbols: Sequence[str] = ()


def parse_data(text: str) -> Path | None:
    """Return the path of the bars, None for the bars that the service stores."""
    return None if text == STORED else Path(text)


def list_names(namespace: argparse.Namespace) -> list[str]:
    """Return the symbols that the arguments name, empty for all of the data."""
    return [name.strip().upper() for name in namespace.symbols.split(",") if name.strip()]


def open_files(namespace: argparse.Namespace) -> OpenBars:
    """Open the files of the arguments. Raises InvalidBacktest."""
    names = list_names(namespace)
    selection = BarSelection(names)
    if namespace.start is not None:
        selection = selection._replace(start=namespace.start)
    if namespace.end is not None:
        selection = selection._replace(end=namespace.end)
    allow_gaps = namespace.gaps == "allow"
    files = BarFiles(namespace.data, namespace.interval, selection, allow_gaps=allow_gaps)
    symbols, pairs = names or files.list_symbols(), list[str]()
    if namespace.rates is not None:
        path = Path(namespace.rates)
        file_symbols = BarFiles(path, namespace.interval).list_symbols()
        pairs = [
            symbol for symbol in file_symbols if parse_pair(symbol) is not None and symbol not in symbols
        ]
        if not pairs:
            raise InvalidBacktest(f"{path}: there is no currency pair such as EURUSD that the data have not.")
        files.append(
            BarFiles(path, namespace.interval, selection._replace(symbols=pairs), allow_gaps=allow_gaps)
        )
    size = files.count_bytes()
    return OpenBars(symbols, size, "bytes", files.read_blocks, lambda: files.data_hash, (), pairs)
