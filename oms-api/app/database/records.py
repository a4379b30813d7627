"""Tables whose rows are read and written as records: NamedTuples with the names of the columns."""

from collections.abc import Iterable, Mapping
from enum import Enum
from typing import Any, Generic, TypeVar, get_type_hints

from sqlalchemy import ColumnExpressionArgument, Connection, Select, delete, func, insert, select, update
from sqlalchemy.orm import DeclarativeBase

Record = TypeVar("Record", bound=tuple[Any, ...])
Condition = ColumnExpressionArgument[bool]


class RecordTable(Generic[Record]):
    """The statements that all tables of records share. `values` are columns that equal a value.

    A record that is only read may have some of the columns.
    """

    def __init__(self, model: type[DeclarativeBase], record: type[Record]) -> None:
        self._model = model
        self._record: Any = record  # the type variable does not say that it is a NamedTuple
        types = get_type_hints(record)
        self.columns = tuple(getattr(model, name) for name in types)
        self._enums = {name: kind for name, kind in types.items() if _is_enum(kind)}

    def build(self, row: Iterable[Any]) -> Record:
        """Return the record of a row with `columns`. Texts become the enums of the record."""
        record = self._record._make(row)
        enums = {name: kind(getattr(record, name)) for name, kind in self._enums.items()}
        typed: Record = record._replace(**enums) if enums else record
        return typed

    def select(self, **values: Any) -> Select[Any]:
        """Return the query of `columns`."""
        return select(*self.columns).where(*self._build_conditions(values))

    def read(self, connection: Connection, query: Select[Any]) -> list[Record]:
        """Return the records of a query of `columns`."""
        return list(map(self.build, connection.execute(query)))

    def find(
        self, connection: Connection, *conditions: Condition, locks: bool = False, **values: Any
    ) -> Record | None:
        """Return the only record, or None. With `locks`, it does not change until the transaction ends."""
        query = self.select(**values).where(*conditions)
        row = connection.execute(query.with_for_update() if locks else query).one_or_none()
        return None if row is None else self.build(row)

    def count(self, connection: Connection, *conditions: Condition, **values: Any) -> int:
        """Return the number of rows."""
        query = (
            select(func.count()).select_from(self._model).where(*conditions, *self._build_conditions(values))
        )
        return connection.execute(query).scalar_one()

    def insert(self, connection: Connection, record: Record) -> None:
        """Insert a record."""
        values = {column.key: value for column, value in zip(self.columns, record, strict=True)}
        connection.execute(insert(self._model).values(values))

    def update(self, connection: Connection, changes: Mapping[str, Any], **values: Any) -> bool:
        """Update columns of the rows. Return whether there was exactly one."""
        statement = update(self._model).where(*self._build_conditions(values)).values(**changes)
        return connection.execute(statement).rowcount == 1

    def delete(self, connection: Connection, **values: Any) -> bool:
        """Delete the rows. Return whether there was exactly one."""
        return connection.execute(delete(self._model).where(*self._build_conditions(values))).rowcount == 1

    def _build_conditions(self, values: Mapping[str, Any]) -> list[Condition]:
        return [getattr(self._model, name) == value for name, value in values.items()]


def _is_enum(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, Enum)
