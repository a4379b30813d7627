"""Migrates the database: `python -m app.migrate`. Concurrent processes are serialized by a lock."""

import fcntl
import logging
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from sqlalchemy import Connection, Engine, inspect, text
from sqlalchemy.exc import OperationalError, ProgrammingError, SQLAlchemyError

from app.config import ConfigurationError, Settings, load_settings
from app.database import connect_engine
from app.database.failures import format_reason
from app.database.policies import transfer_policies
from app.database.timeouts import response_timeout
from app.ledger.service.portfolio_state import create_open_orders_version

if TYPE_CHECKING:
    from alembic.config import Config

MIGRATIONS = Path(__file__).resolve().parent.parent / "migrations"
_LOCK_NUMBER = 7_266_311_042  # an arbitrary number, the same in every process of this service
_LOCK_TIMEOUT_SECONDS = 120.0
MAX_ATTEMPTS = 20
_DEADLOCK_CODE = "40P01"
_LOG = logging.getLogger(__name__)
_DOWN_REVISION_PATTERN = re.compile(r'^down_revision = "([0-9]+)"', re.MULTILINE)


def migrate(engine: Engine, revision: str = "head") -> None:
    """Upgrade to `revision` under a lock that other processes wait for.

    PostgreSQL may end it because of a deadlock with a process that writes. Then nothing was changed, and it
    is repeated.
    """
    for attempt in range(1, MAX_ATTEMPTS + 1):
        try:
            _migrate_once(engine, revision)
        except OperationalError as error:
            if getattr(error.orig, "pgcode", None) != _DEADLOCK_CODE or attempt == MAX_ATTEMPTS:
                raise
            _LOG.warning("the migration met a deadlock and is repeated", extra={"attempt": attempt})
        else:
            return


def _migrate_once(engine: Engine, revision: str) -> None:
    from alembic import command  # noqa: PLC0415  # 60 ms and some MB that a migrated service does without

    with _lock_database(engine) as connection, response_timeout(_LOCK_TIMEOUT_SECONDS):
        before = get_current_revision(connection)
        command.upgrade(build_alembic_config(connection), revision)
        if before not in {None, get_current_revision(connection)}:
            _renew_versions(connection)
        if engine.dialect.name == "postgresql":
            transfer_policies(connection)


def _renew_versions(connection: Connection) -> None:
    """Write new versions of all portfolios.

    A migration may change data that running processes have cached.
    """
    if any(column["name"] == "orders_stamp" for column in inspect(connection).get_columns("portfolios")):
        version = create_open_orders_version()
        connection.execute(text("UPDATE portfolios SET orders_stamp = :version"), {"version": version})


def build_alembic_config(connection: Connection) -> "Config":
    """Return Alembic's configuration for `connection`."""
    from alembic.config import Config  # noqa: PLC0415  # as above

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.attributes["connection"] = connection
    return config


def is_current(connection: Connection) -> bool:
    """Return whether the database has the schema of this version or of a later one."""
    revision = get_current_revision(connection)
    return revision is not None and revision not in list_earlier_revisions()


def get_current_revision(connection: Connection) -> str | None:
    """Return the revision, or None if the database was never migrated, or not for this version's role."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    try:
        return connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one_or_none()
    except ProgrammingError:  # the service's role has no right: the tables are older than the role
        connection.rollback()
        return None


@cache
def list_earlier_revisions() -> frozenset[str]:
    """Return the revisions before this version's: those that another revision follows.

    An unknown revision is of a later version.
    """
    files = (MIGRATIONS / "versions").glob("[0-9]*_*.py")
    matches = (_DOWN_REVISION_PATTERN.search(path.read_text("utf-8")) for path in files)
    return frozenset(match[1] for match in matches if match is not None)


@contextmanager
def _lock_database(engine: Engine) -> Iterator[Connection]:
    if engine.dialect.name == "sqlite":
        # Take the write lock immediately: a running service could hold it later.
        with _lock_file(engine), engine.connect().execution_options(writes=True) as connection:
            yield connection
            connection.commit()
        return
    with engine.connect() as connection:
        with response_timeout(_LOCK_TIMEOUT_SECONDS):
            connection.execute(text("SET lock_timeout = 0"))
            connection.execute(text(f"SELECT pg_advisory_lock({_LOCK_NUMBER})"))
            connection.commit()
        try:
            yield connection
            connection.commit()
        finally:
            connection.rollback()
            connection.execute(text(f"SELECT pg_advisory_unlock({_LOCK_NUMBER})"))
            connection.commit()
            connection.invalidate()  # its lock_timeout differs from the service's


@contextmanager
def _lock_file(engine: Engine) -> Iterator[None]:
    if not engine.url.database or engine.url.database == ":memory:":
        yield
        return
    with _open_lock(Path(f"{engine.url.database}.migration-lock")) as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _open_lock(path: Path) -> TextIO:
    try:
        return path.open("w")
    except OSError as error:
        raise ConfigurationError(
            f"The folder of the database cannot be written to: {error.strerror}. Check DATABASE_URL."
        ) from None


def get_migration_url(settings: Settings) -> str:
    """Return the URL for migrations: MIGRATION_DATABASE_URL, or else DATABASE_URL."""
    return settings.migration_database_url or settings.database_url


def main() -> int:
    """Migrate the configured database. Return 0 if it is up to date, 2 if migration failed."""
    try:
        engine = connect_engine(get_migration_url(load_settings()))
        migrate(engine)
        with engine.connect() as connection:
            revision = get_current_revision(connection)
    except ConfigurationError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    except SQLAlchemyError as error:
        sys.stderr.write(f"The database cannot be migrated: {format_reason(error)}\n")
        return 2
    sys.stdout.write(f"The database is at revision {revision}.\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
