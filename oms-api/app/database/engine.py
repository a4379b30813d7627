"""Engines: psycopg2 with bounded waits, or SQLite in WAL mode with every commit flushed."""

import sqlite3
from pathlib import Path

from sqlalchemy import Connection, Engine, create_engine, event, make_url, text
from sqlalchemy.engine import URL
from sqlalchemy.pool import ConnectionPoolEntry, QueuePool

from app.config import ConfigurationError
from app.database.tenants import carry_declarations, enforce_row_security
from app.database.waits import install

CONNECT_TIMEOUT_SECONDS = 3
# Beside the readers: the writer, changes, log-ins, administration, the audit trail, newcomers.
_SPARE_CONNECTIONS = 9
_MUST_BE_ON = ("fsync", "full_page_writes", "synchronous_commit")


class UnsafeDatabase(Exception):
    """The database may lose what it has acknowledged."""


def normalise_url(url: str) -> URL:
    """Return the URL with the driver named: SQLAlchemy 2.1 takes a bare `postgresql://` for another one."""
    parsed = make_url(url)
    if parsed.drivername in {"postgres", "postgresql"}:
        return parsed.set(drivername="postgresql+psycopg2")
    return parsed


def connect_engine(
    url: str, readers: int = 8, timeout_seconds: float = 5.0, *, walled: bool = False
) -> Engine:
    """Return an engine for `url` with a connection for each reader and a few to spare.

    With `walled`, as the service works: on PostgreSQL as a role that sees declared tenants alone (see
    `database.tenants`), and by indexes alone; without, as the operator's commands do. No statement waits
    longer than `timeout_seconds` for the server, nor a fifth of that for a lock: told apart, for a lock that
    is held is no server that is gone. Errors do not repeat parameters: hashes of passwords and keys are among
    them.
    """
    parsed = normalise_url(url)
    pool = {"pool_size": readers + _SPARE_CONNECTIONS, "max_overflow": 0, "pool_timeout": 2.0}
    if parsed.get_backend_name() == "sqlite":
        return _sqlite_engine(parsed, pool, timeout_seconds)
    install(timeout_seconds)
    lock_milliseconds = max(1, int(timeout_seconds * 200))
    options = (
        f"-c timezone=UTC -c lock_timeout={lock_milliseconds} -c idle_in_transaction_session_timeout=15000"
    )
    if walled:  # what is known of a table that was never analysed says nothing of how large it is
        options += " -c enable_seqscan=off"
    engine = create_engine(
        parsed,
        connect_args={
            "connect_timeout": CONNECT_TIMEOUT_SECONDS,
            "options": options,
            "application_name": "oms-api",
        },
        pool_recycle=1800,
        hide_parameters=True,
        **pool,
    )
    (enforce_row_security if walled else carry_declarations)(engine)
    return engine


def drop_plans(connection: Connection) -> None:
    """Have PostgreSQL plan anew what it planned for this connection, in its next transaction or this one.

    It keeps the plans of foreign keys' checks while a connection lives, or until a table is analysed: what
    was planned for an empty table would read all of a large one, for each row that is inserted.
    """
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql("DISCARD PLANS")


def refuse_unsafe_durability(connection: Connection) -> None:
    """Raise UnsafeDatabase where a crash of the server could lose a commit that it has acknowledged."""
    if connection.dialect.name == "sqlite":
        return  # every connection sets its own: see _configure_sqlite
    for setting in _MUST_BE_ON:
        value = connection.execute(text(f"SHOW {setting}")).scalar_one()
        if value in {"off", "local"}:
            raise UnsafeDatabase(
                f"PostgreSQL runs with {setting} = {value}: trades that were acknowledged could be lost. "
                f"Set {setting} = on (ALTER SYSTEM SET {setting} = on; SELECT pg_reload_conf();)."
            )


def _sqlite_engine(url: URL, pool: dict[str, float], timeout_seconds: float) -> Engine:
    if url.database:
        _make_folder(Path(url.database).absolute().parent)
    engine = create_engine(
        url,
        poolclass=QueuePool,
        connect_args={"timeout": timeout_seconds, "check_same_thread": False},
        hide_parameters=True,
        **pool,
    )
    event.listen(engine, "connect", _configure_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigurationError(
            f"The folder of the database cannot be made: {error.strerror}. Check DATABASE_URL."
        ) from None


def _configure_sqlite(connection: sqlite3.Connection, _: ConnectionPoolEntry) -> None:
    connection.isolation_level = None  # BEGIN is ours to say: see _begin_sqlite
    # Without recursive triggers, REPLACE would delete rows of the ledger past the trigger that forbids it.
    settings = ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "recursive_triggers=ON")
    for pragma in (*settings, "trusted_schema=OFF"):
        connection.execute(f"PRAGMA {pragma}")


def _begin_sqlite(connection: Connection) -> None:
    # A writer takes the write lock at once; a deferred one would fail half-way when it meets another.
    writes = connection.get_execution_options().get("writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
