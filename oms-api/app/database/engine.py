"""Database engines: psycopg2 with timeouts, or SQLite in WAL mode with every commit flushed to disk."""

import sqlite3
from pathlib import Path

from sqlalchemy import Connection, Engine, create_engine, event, make_url, text
from sqlalchemy.engine import URL
from sqlalchemy.pool import ConnectionPoolEntry, QueuePool

from app.config import ConfigurationError
from app.database.tenants import enforce_row_security, send_tenant_scope
from app.database.timeouts import set_statement_timeout

# For the writer, changes, logins, administration, the audit log and new Slack users.
_SPARE_CONNECTIONS = 9
_DURABILITY_SETTINGS = ("fsync", "full_page_writes", "synchronous_commit")


class UnsafeDatabase(Exception):
    """Raised when the database may lose commits that it has acknowledged."""


def normalize_url(url: str) -> URL:
    """Return the URL with an explicit driver: SQLAlchemy 2.1 chooses another one for a bare `postgresql://`."""
    parsed_url = make_url(url)
    if parsed_url.drivername in {"postgres", "postgresql"}:
        return parsed_url.set(drivername="postgresql+psycopg2")
    return parsed_url


def connect_engine(
    url: str, readers: int = 8, timeout_seconds: float = 5.0, *, tenant_scoped: bool = False
) -> Engine:
    """Return an engine for `url` with a connection for each reader and some for writers.

    With `tenant_scoped`, for the service: on PostgreSQL it works as a role that sees only the rows of the
    tenant scope (see `database.tenants`), and uses only indexes. Without it, for the operator's commands. No
    statement waits longer than `timeout_seconds` for the server, nor longer than a fifth of that for a lock,
    so that a held lock is distinguished from an unavailable server. Errors do not include parameters, which
    may be hashes of passwords and keys.
    """
    parsed_url = normalize_url(url)
    pool = {"pool_size": readers + _SPARE_CONNECTIONS, "max_overflow": 0, "pool_timeout": 2.0}
    if parsed_url.get_backend_name() == "sqlite":
        return _create_sqlite_engine(parsed_url, pool, timeout_seconds)
    set_statement_timeout(timeout_seconds)
    lock_milliseconds = max(1, int(timeout_seconds * 200))
    options = (
        f"-c timezone=UTC -c lock_timeout={lock_milliseconds} -c idle_in_transaction_session_timeout=15000"
    )
    if tenant_scoped:  # the statistics of a table that was never analyzed do not give its size
        options += " -c enable_seqscan=off"
        options += " -c plan_cache_mode=force_generic_plan"  # see `database.prepared`
    engine = create_engine(
        parsed_url,
        connect_args={
            "options": options,
            "application_name": "oms-api",
        },
        pool_recycle=1800,
        hide_parameters=True,
        **pool,
    )
    (enforce_row_security if tenant_scoped else send_tenant_scope)(engine)
    return engine


def discard_plans(connection: Connection) -> None:
    """Make PostgreSQL replan cached plans of this connection, in this or the next transaction.

    It caches the plans of foreign key checks until the connection closes or a table is analyzed. A plan made
    for an empty table would scan a large one for each inserted row.
    """
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql("DISCARD PLANS")


def require_safe_durability(connection: Connection) -> None:
    """Raise UnsafeDatabase if a crash of the server could lose an acknowledged commit."""
    if connection.dialect.name == "sqlite":
        return  # each SQLite connection sets its own, see _configure_sqlite
    for setting in _DURABILITY_SETTINGS:
        value = connection.execute(text(f"SHOW {setting}")).scalar_one()
        if value in {"off", "local"}:
            raise UnsafeDatabase(
                f"PostgreSQL runs with {setting} = {value}: trades that were acknowledged could be lost. "
                f"Set {setting} = on (ALTER SYSTEM SET {setting} = on; SELECT pg_reload_conf();)."
            )


def _create_sqlite_engine(url: URL, pool: dict[str, float], timeout_seconds: float) -> Engine:
    if url.database:
        _create_folder(Path(url.database).absolute().parent)
    engine = create_engine(
        url,
        poolclass=QueuePool,
        connect_args={"timeout": timeout_seconds, "check_same_thread": False},
        hide_parameters=True,
        **pool,
    )
    if url.database and not url.database.startswith((":", "file:")):
        guard = _FileGuard(Path(url.database))
        event.listen(engine, "do_connect", guard.check)
        event.listen(engine, "connect", guard.remember)
    event.listen(engine, "connect", _configure_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


class _FileGuard:
    """Lets connections open only the file that the first of them opened or created.

    If the file was moved, SQLite would create an empty file in its place, and use it.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._identity: tuple[int, int] | None = None

    def check(self, *_: object) -> None:
        """Raise OperationalError if the file is another one than before, or is gone."""
        if self._identity is None:
            return
        identity = self._find_identity()
        if identity is None:
            raise sqlite3.OperationalError("the database file was moved or deleted")
        if identity != self._identity:
            raise sqlite3.OperationalError("the database file was replaced by another one")

    def remember(self, *_: object) -> None:
        """Remember which file was opened first. Raises OperationalError as `check`."""
        if self._identity is not None:
            self.check()  # the file may have been moved since the first check; SQLite has then made a new one
        self._identity = self._identity or self._find_identity()

    def _find_identity(self) -> tuple[int, int] | None:
        try:
            file_status = self._file.stat()
        except FileNotFoundError:
            return None
        return file_status.st_dev, file_status.st_ino


def _create_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigurationError(
            f"The folder of the database cannot be made: {error.strerror}. Check DATABASE_URL."
        ) from None


def _configure_sqlite(connection: sqlite3.Connection, _: ConnectionPoolEntry) -> None:
    connection.isolation_level = None  # BEGIN is sent explicitly, see _begin_sqlite
    # Without recursive triggers, REPLACE would delete ledger rows without firing the trigger that forbids it.
    settings = ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "recursive_triggers=ON")
    for pragma in (*settings, "trusted_schema=OFF"):
        connection.execute(f"PRAGMA {pragma}")


def _begin_sqlite(connection: Connection) -> None:
    # A writer takes the write lock immediately. A deferred one would fail halfway if another writer is
    # active.
    writes = connection.get_execution_options().get("writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
