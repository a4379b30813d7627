"""Record the statements that run while the writer decides on commands."""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import local
from unittest import mock

import pytest
from sqlalchemy import Engine, event

from app.orders.service.write_path import batch_handler
from app.orders.service.write_path.command_dispatch import dispatch_all


@contextmanager
def record_decision_statements() -> Iterator[list[str]]:
    """Collect the SQL that the decisions of this process run, on all of its threads."""
    statements: list[str] = []
    thread = local()

    def execute(*arguments):
        thread.is_deciding = True
        try:
            return dispatch_all(*arguments)
        finally:
            thread.is_deciding = False

    def note(_connection, _cursor, statement, *_):
        if getattr(thread, "is_deciding", False):
            statements.append(statement)

    event.listen(Engine, "before_cursor_execute", note)
    try:
        with mock.patch.object(batch_handler, "dispatch_all", execute):
            yield statements
    finally:
        event.remove(Engine, "before_cursor_execute", note)


@pytest.fixture(autouse=True)
def forbid_statements_while_deciding(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fail a test in which deciding on a command runs a statement, unless it is marked."""
    with record_decision_statements() as statements:
        yield
    if request.node.get_closest_marker("reads_while_deciding") is None:
        assert not statements, "\n".join(statements)
