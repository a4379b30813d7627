"""An export as CSV, in pieces of bounded size."""

import asyncio
import csv
import io
from collections.abc import Awaitable, Callable
from typing import Any

from sqlalchemy import Connection

from app.exports.rules.tables import CellKind, format_columns
from app.exports.service.pages import ExportSource, LinesPage, Page
from app.http.csv_format import format_rows, guard_text, has_formula, join_columns

ROWS_PER_PAGE = 10_000
MAX_PAGES_PER_CHUNK = 2  # the database reads the second page while the first one is formatted


class CsvExport:
    """Reads the pages of an export as CSV. The caller decides whether the pages share a snapshot."""

    def __init__(self, source: ExportSource, rows_per_page: int = ROWS_PER_PAGE) -> None:
        self._source = source
        self._rows_per_page = rows_per_page
        self._position: Any = None
        self._is_started = self._is_over = False

    @property
    def is_over(self) -> bool:
        """Whether the last page was read."""
        return self._is_over

    def read_page(self, connection: Connection) -> Page | LinesPage:
        """Return the next page, as lines where the database can write them."""
        page_request = (connection, self._position, self._rows_per_page)
        page = self._source.read_lines(*page_request) or self._source.read_page(*page_request)
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
        """Return the lines of a page, guarded against formulas.

        A page without a formula is returned as it is, because parsing is slow.
        """
        if not has_formula(page.text, page.row_count):
            return f"{page.text}\r\n".encode()
        are_text = [column.kind is CellKind.TEXT for column in self._source.columns]
        return format_rows(
            [guard_text(cell) if is_text else cell for cell, is_text in zip(row, are_text, strict=True)]
            for row in csv.reader(io.StringIO(page.text, newline=""))
        )


async def read_chunk(export: CsvExport, read_page: Callable[[], Awaitable[Page | LinesPage]]) -> bytes:
    """Return the CSV of the next one or two pages, and b"" after the last page. Empty pages are skipped.

    `read_page` runs `export.read_page` in a thread.
    """
    lines: list[bytes] = []
    while not export.is_over and not any(lines):
        page: Page | LinesPage | None = await read_page()
        for number in range(MAX_PAGES_PER_CHUNK):
            if page is None:
                break
            is_last = export.is_over or number == MAX_PAGES_PER_CHUNK - 1
            following = None if is_last else asyncio.ensure_future(read_page())
            lines.append(await asyncio.to_thread(export.format_page, page))
            page = None if following is None else await following
    return b"".join(lines)
