"""An export as CSV, in pieces of bounded size."""

from typing import Any

from sqlalchemy import Connection

from app.exports.rules.tables import format_cells
from app.exports.service.pages import Source
from app.wire.csv_format import format_rows, guard_text

PAGE_ROWS = 2_000


class CsvExport:
    """Reads the pages of an export as CSV. Each page is a snapshot of its own."""

    def __init__(self, source: Source, page_rows: int = PAGE_ROWS) -> None:
        self._source = source
        self._page_rows = page_rows
        self._position: Any = None
        self._is_started = self._is_over = False

    def read(self, connection: Connection) -> bytes:
        """Return the next lines, first the heading. Return nothing at the end."""
        lines, position, is_over = b"", self._position, self._is_over
        if not self._is_started:
            lines = format_rows([[column.name for column in self._source.columns]])
        while not lines and not is_over:
            page = self._source.read_page(connection, position, self._page_rows)
            lines = format_rows(format_cells(self._source.columns, page.rows, guard_text))
            position, is_over = page.position, page.position is None
        # set at the end, because a read may be retried
        self._position, self._is_over, self._is_started = position, is_over, True
        return lines
