"""Fixtures for destructive tests: a separate PostgreSQL server, and files."""

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from app.database import connect_engine
from app.migrate import migrate
from tests.faults.invariant_checks import find_faults
from tests.faults.journal import Journal
from tests.faults.load import PROMISED_SECONDS
from tests.faults.process_control import OmsProcess, PostgresProcess, verify_books
from tests.support.postgres import Databases, get_database_name


@dataclass(frozen=True)
class FaultSetup:
    """An empty, migrated database, where the service's logs go, and the server that may be hit."""

    database_url: str
    logs: Path
    server: PostgresProcess | None = None

    @property
    def postgres(self) -> PostgresProcess:
        """The server."""
        assert self.server is not None, "this stage is a SQLite file"
        return self.server

    def oms(self, fault: str = "", database_url: str | None = None, **environment: str) -> OmsProcess:
        """Return a process of the service on this database, or through another address; not started yet."""
        return OmsProcess(database_url or self.database_url, self.logs, fault, **environment)

    def assert_books_consistent(self, journal: Journal) -> None:
        """Assert that invariant checks and the verify command find no fault, and no response was slow."""
        assert find_faults(journal, self.database_url) == []
        verify_books(self.database_url)
        assert journal.slowest < PROMISED_SECONDS, f"an answer took {journal.slowest:.1f} s"


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
    return get_database_name(url)


@pytest.fixture
def create_setup(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[str], FaultSetup]:
    """`new_stage(backend)` sets a stage."""

    def make(backend: str) -> FaultSetup:
        if backend == "sqlite":
            shutil.copy(request.getfixturevalue("template_sqlite"), tmp_path / "books.db")
            return FaultSetup(f"sqlite:///{tmp_path}/books.db", tmp_path)
        server: PostgresProcess = request.getfixturevalue("killable_postgres")
        if not server.accepts():  # a test that failed had stopped it
            server.start()
        template = request.getfixturevalue("killable_template")
        return FaultSetup(Databases(server.url).new(template), tmp_path, server)

    return make


@pytest.fixture
def setup(backend: str, create_setup: Callable[[str], FaultSetup]) -> FaultSetup:
    """Provide a stage on each of the two databases in turn."""
    return create_setup(backend)


@pytest.fixture
def postgres_setup(create_setup: Callable[[str], FaultSetup]) -> FaultSetup:
    """Provide a stage on PostgreSQL."""
    return create_setup("postgresql")


@pytest.fixture
def sqlite_setup(create_setup: Callable[[str], FaultSetup]) -> FaultSetup:
    """Provide a stage on SQLite."""
    return create_setup("sqlite")


@pytest.fixture
def journal() -> Journal:
    """Provide an empty journal."""
    return Journal()
