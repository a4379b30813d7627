"""An export as CSV, in pieces of bounded size."""

import asyncio
import csv
import io
from collections.abc import Awaitable, Callable
from typing import Any

from sqlalchemy import Connection

from app.exports.rules.tables import CellKind, format_columns
from app.exports.service.pages import LinesPage, Page, Source
from app.http.csv_format import format_columns as join_columns
from app.http.csv_format import format_rows, guard_text, has_formula

PAGE_ROWS = 10_000
PAGES = 2  # that are read at once: while the database reads one, the one before is formatted


class CsvExport:
    """Reads the pages of an export as CSV. Each page is a separate snapshot."""

    def __init__(self, source: Source, page_rows: int = PAGE_ROWS) -> None:
        self._source = source
        self._page_rows = page_rows
        self._position: Any = None
        self._is_started = self._is_over = False

    @property
    def is_over(self) -> bool:
        """Whether the last page was read."""
        return self._is_over

    def read_page(self, connection: Connection) -> Page | LinesPage:
        """Return the next page, as lines where the database can write them."""
        where = (connection, self._position, self._page_rows)
        page = self._source.read_lines(*where) or self._source.read_page(*where)
        # set at the end, because a read may be retried
        self._position, self._is_over = page.position, page.position is None
        return page

    def format_page(self, page: Page | LinesPage) -> bytes:
        """Return the lines of a page, first the heading."""
        if isinstance(page, LinesPage):
            lines = self._format_lines(page)
        else:
            lines = join_columns(format_columns(self._source.columns, page.rows, guard_text))
        if self._is_started:
            return lines
        self._is_started = True
        return format_rows([[column.name for column in self._source.columns]]) + lines

    def _format_lines(self, page: LinesPage) -> bytes:
        """Return the lines of a page, guarded against formulas. Only a page with one is parsed."""
        if not has_formula(page.text, page.rows):
            return f"{page.text}\r\n".encode()
        is_text = [column.kind is CellKind.TEXT for column in self._source.columns]
        return format_rows(
            [guard_text(cell) if free else cell for cell, free in zip(row, is_text, strict=True)]
            for row in csv.reader(io.StringIO(page.text, newline=""))
        )


async def read_lines(export: CsvExport, read_page: Callable[[], Awaitable[Page | LinesPage]]) -> bytes:
    """Return the lines of the next pages, nothing at the end. `read_page` calls the export's in a thread."""
    lines: list[bytes] = []
    while not export.is_over and not any(lines):
        page: Page | LinesPage | None = await read_page()
        for number in range(PAGES):
            if page is None:
                break
            is_last = export.is_over or number == PAGES - 1
            following = None if is_last else asyncio.ensure_future(read_page())
            lines.append(await asyncio.to_thread(export.format_page, page))
            page = None if following is None else await following
    return b"".join(lines)
