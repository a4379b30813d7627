"""A writer over a small table of its own, with a handler that fails on demand."""

import asyncio
import threading
from collections.abc import Callable, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

from sqlalchemy import Column, Connection, MetaData, Table, Text, text

from app.database import build_insert, execute_writes
from app.errors import Conflict, OmsError
from app.group_commit import BatchResult, GroupCommit

GOOD_BAD = {"conflict": lambda: Conflict("refused"), "defect": lambda: KeyError("a defect")}


NOTES = Table("notes", MetaData(), Column("note", Text))


class NoteHandler:
    """Handler: writes each work, a text, into `notes`; some words have a meaning (see `handle`)."""

    def __init__(self) -> None:
        self.batches: list[list[str]] = []
        self.retained: list[dict[Any, Any]] = []  # of each attempt
        self.checks = 0
        self.check_fails = 0
        self.committed: list[list[str]] = []  # batches whose commit was reported
        self.on_commit_fails = False
        self.gate = threading.Event()
        self.gate.set()
        self.entered = threading.Event()

    def handle(
        self, connection: Connection, works: Sequence[str], retained: dict[Any, Any]
    ) -> BatchResult[str]:
        """Handle each work as its name says.

        `conflict` is refused, `defect` raises, `once` raises the first time, `null` breaks a constraint, and
        `wait…` waits for the gate.
        """
        is_first = not any("once" in batch for batch in self.batches)
        self.batches.append(list(works))
        self.retained.append(retained)
        outcomes: list[str | OmsError] = []
        for work in works:
            if work.startswith("wait"):
                self.entered.set()
                assert self.gate.wait(30)
            if work == "defect" or (work == "once" and is_first):
                raise KeyError("a defect")
            if work == "conflict":
                outcomes.append(Conflict("refused"))
                continue
            execute_writes(connection, build_insert(NOTES, ("note",), [(None if work == "null" else work,)]))
            outcomes.append(f"wrote {work}")
        is_recorded = partial(self._is_recorded, works=works)
        return BatchResult(outcomes, is_recorded, on_commit=partial(self._record_commit, works))

    def _record_commit(self, works: Sequence[str]) -> None:
        if self.on_commit_fails:
            raise KeyError("a defect")
        self.committed.append(list(works))

    def _is_recorded(self, connection: Connection, works: Sequence[str]) -> bool:
        self.checks += 1
        if self.check_fails:
            self.check_fails -= 1
            raise RuntimeError("not yet")
        return works[-1] in connection.execute(text("SELECT note FROM notes")).scalars().all()


class RecordedSizes:
    """Metrics that store the sizes of batches."""

    def __init__(self) -> None:
        self.sizes: list[int] = []

    def record_batch(self, size: int, seconds: float) -> None:
        """Record a batch."""
        assert seconds >= 0
        self.sizes.append(size)


@contextmanager
def run_writer(engine, handler, queue_limit=1000, batch_limit=100, metrics=None):
    """Run a writer; its table is made first."""
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE notes (note TEXT NOT NULL)"))
    writer = GroupCommit[str, str](engine, handler, queue_limit, batch_limit, metrics)
    writer.start()
    try:
        yield writer
    finally:
        handler.gate.set()
        writer.close()


def read_notes(engine) -> list[str]:
    """Return the written notes, in order."""
    order = "rowid" if engine.dialect.name == "sqlite" else "ctid"
    with engine.connect() as connection:
        return list(connection.execute(text(f"SELECT note FROM notes ORDER BY {order}")).scalars())  # noqa: S608  # ours


def submit_all(writer, works: Sequence[str], then: Callable[[], Any] = lambda: None) -> list[Any]:
    """Submit `works`, call `then`, and return the value or error of each."""

    async def run() -> list[Any]:
        futures = [writer.submit(work) for work in works]
        await asyncio.get_running_loop().run_in_executor(None, then)
        async with asyncio.timeout(30):
            return await asyncio.gather(*futures, return_exceptions=True)

    return asyncio.run(run())
