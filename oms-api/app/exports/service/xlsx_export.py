"""An export as an XLSX workbook, by the optional package `xlsxwriter`.

The workbook is written to a temporary file row by row, because its index is at its end.
"""

import tempfile
from collections.abc import Sequence
from importlib import import_module
from importlib.util import find_spec
from typing import IO, Any

from sqlalchemy import Connection

from app.errors import FieldError, Invalid, NotInstalled
from app.exports.rules.tables import NUMERIC_KINDS, CellValue, format_cells, is_exact_number
from app.exports.service.pages import ExportSource

XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
MAX_ROWS = 1_048_575  # a sheet has 1,048,576 rows, of which one is the heading
ROWS_PER_PAGE = 2_000
CHUNK_BYTES = 256 * 1024
_XLSX_PACKAGE = "xlsxwriter"
_NUMBER_FORMAT = "#,##0.00######"


def require_xlsx() -> None:
    """Raise NotInstalled if the installation has no `xlsxwriter`."""
    if find_spec(_XLSX_PACKAGE) is None:
        raise NotInstalled(
            "XLSX needs the package `xlsxwriter` (requirements-xlsx.txt). Install it, or ask for text/csv."
        )


class XlsxExport:
    """Writes an export to a temporary file page by page, and then reads the file in pieces."""

    def __init__(self, source: ExportSource, max_rows: int = MAX_ROWS) -> None:
        self._source = source
        self._max_rows = max_rows
        self._file: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115  # `close` closes it
        self._folder = tempfile.TemporaryDirectory(prefix="export-")
        options = {"constant_memory": True, "tmpdir": self._folder.name}
        self._book = import_module(_XLSX_PACKAGE).Workbook(self._file, options)
        self._sheet = self._book.add_worksheet()
        self._format = self._book.add_format({"num_format": _NUMBER_FORMAT})
        self._rows = 0
        self._position: Any = None
        self._append_row([column.name for column in source.columns], is_heading=True)

    def write_page(self, connection: Connection) -> bool:
        """Write the next page. Return whether it was the last one. Raises Invalid for too many rows."""
        page = self._source.read_page(connection, self._position, ROWS_PER_PAGE)
        if self._rows + len(page.rows) > self._max_rows + 1:
            message = f"A sheet has at most {self._max_rows:,} rows. Shorten the period, or ask for text/csv."
            raise Invalid(message, [FieldError("from", "Must be later.", "too_many_rows")])
        for row in format_cells(self._source.columns, page.rows, lambda text: text):
            self._append_row(row)
        self._position = page.position
        return page.position is None

    def finish(self) -> None:
        """Complete the workbook and go to its start."""
        self._book.close()
        self._file.seek(0)

    def read(self) -> bytes:
        """Return the next chunk of the complete workbook, nothing at its end."""
        return self._file.read(CHUNK_BYTES)

    def close(self) -> None:
        """Remove the temporary files."""
        self._file.close()
        self._folder.cleanup()

    def _append_row(self, row: Sequence[CellValue], *, is_heading: bool = False) -> None:
        for index, value in enumerate(row):
            if value is not None:
                is_numeric = not is_heading and self._source.columns[index].kind in NUMERIC_KINDS
                self._write_cell(index, value, is_numeric=is_numeric)
        self._rows += 1

    def _write_cell(self, index: int, value: CellValue, *, is_numeric: bool) -> None:
        """Write a cell. Text is never a formula.

        An amount that a binary number does not keep is exact text.
        """
        if isinstance(value, int | float):
            self._sheet.write_number(self._rows, index, value)
        elif is_numeric and is_exact_number(str(value)):
            self._sheet.write_number(self._rows, index, float(str(value)), self._format)
        else:
            self._sheet.write_string(self._rows, index, str(value))
