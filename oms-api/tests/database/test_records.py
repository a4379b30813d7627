"""Records are inserted, found, counted, updated and deleted by the values of their columns."""

from enum import StrEnum
from typing import NamedTuple

import pytest
from sqlalchemy import create_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from app.database import RecordTable


class Base(DeclarativeBase):
    pass


class NoteRow(Base):
    __tablename__ = "notes"

    tenant_id: Mapped[int] = mapped_column(primary_key=True)
    id: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[str]


class Kind(StrEnum):
    LONG = "long"
    SHORT = "short"


class Note(NamedTuple):
    tenant_id: int
    id: int
    kind: Kind


NOTES = RecordTable(NoteRow, Note)
ROWS = [Note(1, 1, Kind.LONG), Note(1, 2, Kind.SHORT), Note(2, 1, Kind.LONG)]


@pytest.fixture
def connection():
    engine = create_engine("sqlite://")
    Base.metadata.create_all(engine)
    with engine.begin() as connection:
        for note in ROWS:
            NOTES.insert(connection, note)
        yield connection
    engine.dispose()


def test_records_are_read_with_their_enums(connection):
    note = NOTES.find(connection, tenant_id=1, id=2)
    assert note == ROWS[1]
    assert type(note.kind) is Kind
    assert NOTES.find(connection, NoteRow.kind == "long", tenant_id=1, id=2) is None
    assert NOTES.read(connection, NOTES.select(kind="long").order_by(NoteRow.tenant_id)) == [ROWS[0], ROWS[2]]
    assert NOTES.count(connection, NoteRow.id > 0, tenant_id=1) == 2


def test_changes_say_whether_there_was_exactly_one_row(connection):
    assert NOTES.update(connection, {"kind": "short"}, tenant_id=1, id=1)
    assert not NOTES.update(connection, {"kind": "short"}, tenant_id=3)
    assert not NOTES.delete(connection, tenant_id=1)
    assert NOTES.delete(connection, tenant_id=2, id=1)
    assert NOTES.count(connection) == 0
