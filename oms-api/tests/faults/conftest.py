"""Fixtures for destructive tests: a separate PostgreSQL server, and files."""

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from app.database import connect_engine
from app.migrate import migrate
from tests.faults.journal import Journal
from tests.faults.judge import judge
from tests.faults.process_control import Oms, PostgresProcess, verify
from tests.support.postgres import Databases, name_in


@dataclass(frozen=True)
class Stage:
    """An empty, migrated database, where the service's logs go, and the server that may be hit."""

    database_url: str
    logs: Path
    server: PostgresProcess | None = None

    @property
    def postgres(self) -> PostgresProcess:
        """The server."""
        assert self.server is not None, "this stage is a SQLite file"
        return self.server

    def oms(self, fault: str = "", database_url: str | None = None, **environment: str) -> Oms:
        """Return a process of the service on this database, or through another address; not started yet."""
        return Oms(database_url or self.database_url, self.logs, fault, **environment)

    def assert_books_consistent(self, journal: Journal) -> None:
        """Neither the judge nor the operator's own proof finds a fault, and no answer took too long."""
        assert judge(journal, self.database_url) == []
        verify(self.database_url)
        assert journal.slowest < 15, f"an answer took {journal.slowest:.1f} s"


@pytest.fixture(scope="session")
def killable_postgres() -> Iterator[PostgresProcess]:
    """Provide a server that tests may kill, if they start it again."""
    server = PostgresProcess()
    try:
        server.start()
        yield server
    finally:
        server.remove()


@pytest.fixture(scope="session")
def killable_template(killable_postgres: PostgresProcess) -> str:
    """Provide the name of a migrated database on that server."""
    url = Databases(killable_postgres.url).new()
    engine = connect_engine(url)
    migrate(engine)
    engine.dispose()
    return name_in(url)


@pytest.fixture
def new_stage(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[str], Stage]:
    """`new_stage(backend)` sets a stage."""

    def make(backend: str) -> Stage:
        if backend == "sqlite":
            shutil.copy(request.getfixturevalue("template_sqlite"), tmp_path / "books.db")
            return Stage(f"sqlite:///{tmp_path}/books.db", tmp_path)
        server: PostgresProcess = request.getfixturevalue("killable_postgres")
        if not server.accepts():  # a test that failed had stopped it
            server.start()
        template = request.getfixturevalue("killable_template")
        return Stage(Databases(server.url).new(template), tmp_path, server)

    return make


@pytest.fixture
def stage(backend: str, new_stage: Callable[[str], Stage]) -> Stage:
    """Provide a stage on each of the two databases in turn."""
    return new_stage(backend)


@pytest.fixture
def postgres_stage(new_stage: Callable[[str], Stage]) -> Stage:
    """Provide a stage on PostgreSQL."""
    return new_stage("postgresql")


@pytest.fixture
def sqlite_stage(new_stage: Callable[[str], Stage]) -> Stage:
    """Provide a stage on SQLite."""
    return new_stage("sqlite")


@pytest.fixture
def journal() -> Journal:
    """Provide an empty journal."""
    return Journal()
