"""The CSV of lists and exports: UTF-8, CRLF (RFC 4180), and no cell that is a formula."""

import csv
import io
import re
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any

import orjson

CSV = "text/csv"
CSV_UTF8 = f"{CSV}; charset=utf-8"
# A spreadsheet evaluates a cell that starts with one of these (OWASP, CSV injection).
_FORMULA_STARTS = frozenset("=+-@\t\r\n\uff1d\uff0b\uff0d\uff20")  # the last four: full-width forms
_PLAIN_NUMBER_PATTERN = re.compile(r"[+-]?[0-9]+(\.[0-9]+)?", re.ASCII)
# A formula after a separator and quotes, unless it is a plain number that ends there.
_LATER_FORMULA_PATTERN = re.compile(
    r"([;|\t\r\n]\"*)(?=[=+\-@\uff1d\uff0b\uff0d\uff20])(?![+-][0-9]+(?:\.[0-9]+)?(?:[;|\t\r\n]|$))", re.ASCII
)
_FORMULA_CELL_PATTERN = re.compile(
    ',"[=+\\-@\t\r\n\uff1d\uff0b\uff0d\uff20]'
)  # a quoted cell that starts like a formula
_QUOTED_CELL_PATTERN = re.compile('[",\r\n]')  # cells with one of these are put in quotes
# The fields of an object that can hold its list, in the order in which they are looked for.
_LIST_FIELDS = ("items", "rows", "orders")


@lru_cache(maxsize=8192)
def guard_text(text: str | None) -> str | None:
    """Return the text of a cell, with `'` before each part that starts like a formula, except plain numbers.

    A part begins at the start, and after a character that separates cells for other spreadsheets: a German
    one reads the text `a;=1` as two cells.
    """
    if not text:
        return text
    guarded = _LATER_FORMULA_PATTERN.sub(r"\1'", text)
    is_formula = text[0] in _FORMULA_STARTS and not _PLAIN_NUMBER_PATTERN.fullmatch(text)
    return f"'{guarded}" if is_formula else guarded


def format_rows(rows: Iterable[Sequence[Any]]) -> bytes:
    """Return rows of guarded cells as CSV. None is an empty cell."""
    lines = io.StringIO(newline="")
    csv.writer(lines, lineterminator="\r\n").writerows(rows)
    return lines.getvalue().encode()


def join_columns(columns: Iterable[Iterable[Any]]) -> bytes:
    """Return columns of guarded cells as CSV, as `format_rows` does with rows, but several times faster.

    There must be two columns or more.
    """
    texts = [_quote_column(values) for values in columns]
    return "".join([f"{line}\r\n" for line in map(",".join, zip(*texts, strict=True))]).encode()


def has_formula(lines: str, count: int) -> bool:
    """Return whether `guard_text` would change a cell of lines of CSV; `count` is their number.

    All free text must be quoted.
    """
    if _FORMULA_CELL_PATTERN.search(lines):
        return True
    has_line_break = lines.count("\n") >= count or lines.count("\r") >= count
    has_separator = has_line_break or any(separator in lines for separator in ";|\t")
    return has_separator and _LATER_FORMULA_PATTERN.search(lines) is not None


def _quote_column(values: Iterable[Any]) -> list[str]:
    texts = list(values)
    if texts.count(None) == len(texts):  # optional columns are often empty
        return [""] * len(texts)
    try:
        joined_texts = "\0".join(texts)
    except TypeError:  # not all of them are text
        texts = [value if type(value) is str else "" if value is None else str(value) for value in texts]
        joined_texts = "\0".join(texts)
    if not _QUOTED_CELL_PATTERN.search(joined_texts):
        return texts
    return [
        '"' + text.replace('"', '""') + '"' if _QUOTED_CELL_PATTERN.search(text) else text for text in texts
    ]


def find_listed(content: Any) -> list[Any] | None:  # any JSON value
    """Return the list of a response: the response itself or the field that holds it. None if it has none."""
    if isinstance(content, Mapping):
        content = next((content[name] for name in _LIST_FIELDS if name in content), None)
    return content if isinstance(content, list) else None


def format_list(items: Sequence[Any]) -> bytes:
    """Return JSON values as CSV with a heading.

    The columns are the fields of all items, in the order of their first appearance. Other items than
    objects are the column `value`. Objects and lists in a field are JSON text.
    """
    objects = [item if isinstance(item, dict) else {"value": item} for item in items]
    columns = list(dict.fromkeys(name for item in objects for name in item))
    rows = ([_format_cell(item.get(name)) for name in columns] for item in objects)
    return format_rows([list(map(guard_text, columns)), *rows]) if columns else b""


def _format_cell(value: Any) -> Any:  # any JSON value
    if isinstance(value, str):
        return guard_text(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    return orjson.dumps(value).decode() if isinstance(value, dict | list) else value
