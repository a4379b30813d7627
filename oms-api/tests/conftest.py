"""Both databases, migrated once and copied for tests that need a separate one, and the service on them."""

import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from sqlalchemy import Engine

from app.clock import utc_now
from app.database import connect_engine
from app.database.timeouts import response_timeout, set_statement_timeout
from app.migrate import migrate
from app.verify import format_report, verify_database
from tests.support.any_database import deselect_repeated
from tests.support.clock import compute_wait_for_next_day
from tests.support.decisions import record_decision_statements
from tests.support.postgres import Databases, PostgresServer, get_database_name
from tests.support.redis import RedisServer, run_redis_server
from tests.support.service import ApiClient, Service, run_service

LONG_TESTS = bool(os.environ.get("LONG_TESTS"))
STATEMENT_SECONDS = 60.0  # a slow machine needs them to copy a database
BACKENDS = ("sqlite", "postgresql")

Databases.statement_context = staticmethod(partial(response_timeout, STATEMENT_SECONDS))

# Each HTTP client reads the trusted certificates, which takes 40 ms. Clients of tests need no certificates.
os.environ.pop("SSL_CERT_FILE", None)
os.environ["SSL_CERT_DIR"] = str(Path(__file__).parent)

settings.register_profile(
    "repeatable",
    deadline=None,
    derandomize=True,
    max_examples=50,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
settings.register_profile(
    "long", parent=settings.get_profile("repeatable"), max_examples=2000, derandomize=False
)
settings.load_profile("long" if LONG_TESTS else "repeatable")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Deselect the PostgreSQL half of tests marked `any_database`, unless LONG_TESTS is set."""
    if not LONG_TESTS:
        deselect_repeated(config, items, "backend")


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup() -> None:
    """Begin no test at the end of a UTC day: its day orders would expire, and its reports have two days."""
    time.sleep(compute_wait_for_next_day(utc_now()))


@pytest.fixture(autouse=True)
def reset_statement_timeout() -> Iterator[None]:
    """Undo a timeout that the test set for statements: it applies to the whole process."""
    yield
    set_statement_timeout(STATEMENT_SECONDS)


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """Provide the address of a PostgreSQL server: TEST_DATABASE_URL, or one started for this session."""
    response = os.environ.get("TEST_DATABASE_URL")
    if response:
        yield response
        return
    server = PostgresServer()
    try:
        server.start()
        yield server.url
    finally:
        server.remove()


@pytest.fixture(scope="session")
def databases(postgres_url: str) -> Iterator[Databases]:
    """Create databases on that server; if the server is permanent, drop them at the end."""
    databases = Databases(postgres_url)
    yield databases
    if os.environ.get("TEST_DATABASE_URL"):
        databases.drop_all()


@pytest.fixture(scope="session")
def template_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Provide a migrated SQLite file to copy."""
    path = tmp_path_factory.mktemp("template") / "oms.db"
    _migrated(f"sqlite:///{path}")
    return path


@pytest.fixture(scope="session")
def template_postgres(databases: Databases) -> str:
    """Provide the name of a migrated PostgreSQL database to copy."""
    url = databases.new()
    _migrated(url)
    return get_database_name(url)


def _migrated(url: str) -> None:
    engine = connect_engine(url)
    migrate(engine)
    engine.dispose()


@pytest.fixture(scope="session")
def new_database(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Callable[..., str]:
    """`new_database(backend)` returns the address of a migrated database, or an empty one."""

    def make(backend: str, migrated: bool = True) -> str:
        if backend == "sqlite":
            path = tmp_path_factory.mktemp("database") / "oms.db"
            if migrated:
                shutil.copy(request.getfixturevalue("template_sqlite"), path)
            return f"sqlite:///{path}"
        databases: Databases = request.getfixturevalue("databases")
        template = request.getfixturevalue("template_postgres") if migrated else "template0"
        return databases.new(template)

    return make


@pytest.fixture(scope="session", params=BACKENDS)
def backend(request: pytest.FixtureRequest) -> str:
    """Each of the two databases in turn."""
    return str(request.param)


@pytest.fixture(scope="session")
def service(backend: str, new_database: Callable[..., str]) -> Iterator[Service]:
    """Provide the service that the tests of this session share; `api` creates a tenant of it."""
    with run_service(new_database(backend)) as running:
        yield running


@pytest.fixture(scope="module")
def verified_service(backend: str, new_database: Callable[..., str]) -> Iterator[Service]:
    """Provide a service for the tests of a module. After the last of them its database must verify."""
    with run_service(new_database(backend)) as running:
        yield running
        result = verify_database(running.engine)
        assert result.is_clean, list(format_report(result, 0))


@pytest.fixture
def api(service: Service) -> ApiClient:
    """Provide a tenant of the test's own, with an admin key."""
    return service.create_client()


@pytest.fixture
def database_url(backend: str, new_database: Callable[..., str]) -> str:
    """Provide a migrated database of the test's own."""
    return new_database(backend)


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    """Provide the service's kind of engine on a migrated database of the test's own."""
    engine = connect_engine(database_url)
    yield engine
    engine.dispose()


@pytest.fixture
def serve(database_url: str) -> Callable[..., AbstractContextManager[Service]]:
    """`serve(**settings)` runs a service with other settings on a database of the test's own."""

    def run(**changes: Any) -> AbstractContextManager[Service]:
        return run_service(database_url, **changes)

    return run


@pytest.fixture
def decides_on_loaded_state():
    """Check that no command of the test runs a statement while it is decided."""
    with record_decision_statements() as statements:
        yield
    assert statements == []


@pytest.fixture(scope="module")
def redis_server() -> Iterator[RedisServer]:
    with run_redis_server() as server:
        yield server
