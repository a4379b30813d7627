"""The services that exports read from, and the pages in which they are read."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection

from app.exports.queries import ExportFilter
from app.exports.rules.tables import CellValue, Column
from app.identity.rules.access import Caller
from app.ledger.service.cash_figures import CashReader
from app.ledger.service.positions import ExitsReader
from app.ledger.service.valuation import Valuer
from app.market_data.service import Market


class ExportContext(NamedTuple):
    """The caller, the filters and the data sources of exports. `at` is the time of the request."""

    caller: Caller
    filters: ExportFilter
    market: Market
    exits: ExitsReader
    cash_reader: CashReader
    valuer: Valuer
    at: datetime


class Page(NamedTuple):
    """Rows of an export. `position` is where the next page starts; None after the last page."""

    rows: Sequence[Sequence[CellValue]]
    position: Any


class LinesPage(NamedTuple):
    """A page as lines of CSV without the last line end, with the number of its rows.

    `position` is where the next page starts. Free text is quoted, and may be a formula.
    """

    text: str
    row_count: int
    position: Any


class ExportSource(NamedTuple):
    """An export. `read_page` takes a connection, a position (None: the start) and a number of rows.

    `read_lines` reads the same page as lines of CSV. It returns None if that is not possible.
    """

    columns: tuple[Column, ...]
    read_page: Callable[[Connection, Any, int], Page]
    read_lines: Callable[[Connection, Any, int], LinesPage | None] = lambda *_: None
