"""The tables of the exports, and the text of their cells."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import StrEnum
from functools import lru_cache
from typing import Any, NamedTuple

from app.money import money_text, quantity_text

Cell = str | int | float | bool | None


class CellKind(StrEnum):
    """What the cells of a column hold.

    `MONEY` and `QUANTITY` are canonical text with 8 decimals, `AMOUNT` is an amount as the API sends it, and
    `NUMBER` an integer or a float. `FLAG` is a truth value. `TEXT` is any text. `ID` is text that never
    starts like a formula: ids, instants, codes and symbols.
    """

    MONEY = "money"
    QUANTITY = "quantity"
    AMOUNT = "amount"
    NUMBER = "number"
    FLAG = "flag"
    TEXT = "text"
    ID = "id"


NUMERIC_KINDS = frozenset({CellKind.MONEY, CellKind.QUANTITY, CellKind.AMOUNT, CellKind.NUMBER})


class Column(NamedTuple):
    """A column of an export."""

    name: str
    kind: CellKind = CellKind.TEXT


def build_columns(names: str, kinds: Mapping[str, CellKind]) -> tuple[Column, ...]:
    """Return the columns of the names, which are separated by spaces. A name without a kind is text."""
    return tuple(Column(name, kinds.get(name, CellKind.TEXT)) for name in names.split())


def select_values(columns: Iterable[Column], items: Iterable[Mapping[str, Any]]) -> list[list[Cell]]:
    """Return the rows of objects, which have the columns as fields."""
    names = [column.name for column in columns]
    return [[item[name] for name in names] for item in items]


def format_cells(
    columns: Sequence[Column], rows: Sequence[Sequence[Cell]], format_text: Callable[[Any], Any]
) -> Iterable[Sequence[Any]]:
    """Return the rows with amounts in the form of the API and text as `format_text` returns it.

    Whole columns are formatted at once, which is several times faster than cells.
    """
    if not rows:
        return []
    formats = {**_FORMATS, CellKind.TEXT: format_text}
    by_column = zip(*rows, strict=True)
    return zip(
        *(
            values if column.kind not in formats else map(formats[column.kind], values)
            for column, values in zip(columns, by_column, strict=True)
        ),
        strict=True,
    )


@lru_cache(maxsize=16_384)
def _format_money(text: str | None) -> str | None:
    return None if text is None else money_text(text)


@lru_cache(maxsize=16_384)
def _format_quantity(text: str | None) -> str | None:
    return None if text is None else quantity_text(text)


def _format_flag(flag: bool | None) -> str | None:
    return None if flag is None else str(flag).lower()


_FORMATS: dict[CellKind, Callable[[Any], Any]] = {
    CellKind.MONEY: _format_money,
    CellKind.QUANTITY: _format_quantity,
    CellKind.FLAG: _format_flag,
}
