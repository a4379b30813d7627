"""Build tables: Slack's `data_table`, and lines of text where a workspace refuses it."""

from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import NamedTuple

from app.blocks.text import MAX_SECTION_CHARACTERS, Json, build_section, format_literal, truncate

MAX_TABLE_ROWS = 100  # rows of one table, without the header
MAX_TABLE_CHARACTERS = 18_000  # of all cells; Slack accepts 20,000 in a message
MAX_LINE_CHARACTERS = 8_500  # of all lines; Slack accepts 12,000 in the blocks of a message
MAX_CELL_CHARACTERS = 150


class Amount(NamedTuple):
    """A number that sorts by its value and is shown as its text."""

    value: Decimal
    text: str


Cell = str | Amount


class Table(NamedTuple):
    """A table. Its first column names the row. `is_cut`: more rows exist than `rows`."""

    caption: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    is_cut: bool = False


def build_data_tables(*tables: Table) -> list[Json]:
    """Return `data_table` blocks of up to 100 rows each, and lines that state which tables have more rows.

    https://docs.slack.dev/reference/block-kit/blocks/data-table-block
    """
    shares = _share_characters([_count_characters(table) for table in tables], MAX_TABLE_CHARACTERS)
    return [
        block for table, share in zip(tables, shares, strict=True) for block in _build_table(table, share)
    ]


def build_table_lines(*tables: Table) -> list[Json]:
    """Return the rows as lines of text in sections, and lines that state which tables have more rows."""
    lines = [[_format_line(table.columns, row) for row in table.rows] for table in tables]
    shares = _share_characters([sum(map(len, rows)) + len(rows) for rows in lines], MAX_LINE_CHARACTERS)
    return [
        block
        for table, rows, share in zip(tables, lines, shares, strict=True)
        for block in _build_sections(table, rows, share)
    ]


def get_text(cell: Cell) -> str:
    """Return the text of a cell."""
    return cell if isinstance(cell, str) else cell.text


def _share_characters(needs: Sequence[int], total: int) -> list[int]:
    """Return the maximum characters of each table. Larger tables get the unused share of smaller tables."""
    shares = [0] * len(needs)
    remaining_characters = total
    for assigned_count, number in enumerate(sorted(range(len(needs)), key=needs.__getitem__)):
        shares[number] = min(needs[number], remaining_characters // (len(needs) - assigned_count))
        remaining_characters -= shares[number]
    return shares


def _count_characters(table: Table) -> int:
    return sum(map(len, table.columns)) + sum(len(_format_cell(cell)) for row in table.rows for cell in row)


def _build_table(table: Table, characters: int) -> list[Json]:
    rows = _get_fitting_rows(table, characters)
    header = [_build_cell(column) for column in table.columns]
    pages = [rows[start : start + MAX_TABLE_ROWS] for start in range(0, len(rows), MAX_TABLE_ROWS)]
    blocks: list[Json] = [
        {
            "type": "data_table",
            "caption": _format_caption(table.caption, number, len(pages)),
            "page_size": MAX_TABLE_ROWS,
            "row_header_column_index": 0,
            "rows": [header, *([_build_cell(value) for value in row] for row in page)],
        }
        for number, page in enumerate(pages, 1)
    ]
    return [*blocks, *_build_remainder_note(table, len(rows))]


def _build_sections(table: Table, lines: Sequence[str], characters: int) -> list[Json]:
    remaining_characters = characters
    for number, line in enumerate(lines):
        remaining_characters -= len(line) + 1
        if remaining_characters < 0:
            return [*map(build_section, _join_lines(lines[:number])), *_build_remainder_note(table, number)]
    return [*map(build_section, _join_lines(lines)), *_build_remainder_note(table, len(lines))]


def _get_fitting_rows(table: Table, characters: int) -> Sequence[Sequence[Cell]]:
    """Return the first rows whose texts have at most `characters` characters."""
    remaining_characters = characters - sum(map(len, table.columns))
    for number, row in enumerate(table.rows):
        remaining_characters -= sum(len(_format_cell(cell)) for cell in row)
        if remaining_characters < 0:
            return table.rows[:number]
    return table.rows


def _format_cell(cell: Cell) -> str:
    return truncate(get_text(cell), MAX_CELL_CHARACTERS) or "–"


def _build_cell(cell: Cell) -> Json:
    if isinstance(cell, str):
        return {"type": "raw_text", "text": _format_cell(cell)}
    # Slack sorts by the value; people read the exact text.
    return {"type": "raw_number", "value": float(cell.value), "text": _format_cell(cell)}


def _format_caption(caption: str, number: int, pages: int) -> str:
    return f"{caption} ({number} of {pages})" if pages > 1 else caption


def _format_line(columns: Sequence[str], row: Sequence[Cell]) -> str:
    name, *cells = (_format_cell(cell) for cell in row)
    parts = [
        f"{column} {format_literal(text)}"
        for column, text in zip(columns[1:], cells, strict=True)
        if text != "–"
    ]
    return f"*{format_literal(name)}* · {' · '.join(parts)}" if parts else f"*{format_literal(name)}*"


def _join_lines(lines: Iterable[str]) -> list[str]:
    """Return the lines as few texts, each within the limit of a section."""
    texts: list[str] = []
    for line in lines:
        if texts and len(texts[-1]) + 1 + len(line) <= MAX_SECTION_CHARACTERS:
            texts[-1] += f"\n{line}"
        else:
            texts.append(line)
    return texts


def _build_remainder_note(table: Table, row_count: int) -> list[Json]:
    if not table.is_cut and row_count == len(table.rows):
        return []
    return [
        build_section(f"The first {row_count} are shown. Name a portfolio or a symbol to see the others.")
    ]
