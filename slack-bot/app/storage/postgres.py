"""A PostgreSQL database that several bots share. Its tables are in a separate schema."""

import queue
import select
import time
from typing import Any

import psycopg2
import psycopg2.extensions

from app.storage.database import DatabaseError, Row
from app.storage.schema import ADDED_COLUMNS, MESSAGES_KEY, TABLES

SCHEMA = "slack_bot"
MAX_CONNECTIONS = 8
RESPONSE_TIMEOUT_SECONDS = 2.0  # for a connection and for each statement, also while the tables are created
FAILURE_PAUSE_SECONDS = 1.0  # after a failure, statements fail at once
SETUP_LOCK = (
    5_106_014  # one bot creates the tables; a bot that waits longer than `lock_timeout` does not start
)
OPTIONS = f"-c search_path={SCHEMA} -c statement_timeout=1500 -c lock_timeout=1500"
ADD_TEAM_TO_MESSAGES_KEY = f"""DO $$ BEGIN
    IF EXISTS (SELECT FROM pg_constraint WHERE conname = 'order_messages_pkey'
            AND connamespace = '{SCHEMA}'::regnamespace) THEN
        ALTER TABLE order_messages DROP CONSTRAINT order_messages_pkey, ADD {MESSAGES_KEY};
    END IF;
END $$"""
CONNECTION_ERRORS = (psycopg2.OperationalError, psycopg2.InterfaceError)


class ResponseTimeout(psycopg2.OperationalError):
    """Raised when the server did not respond in time. It is unknown whether it executed the statement."""


class PostgresDatabase:
    """A small pool of connections. Each statement commits by itself."""

    is_shared = True
    now = "extract(epoch FROM clock_timestamp())::double precision"

    def __init__(self, url: str):
        """Create or migrate the tables. Raises `DatabaseError`.

        Sets the wait callback of psycopg2 for the whole process, which limits the time of each statement.
        """
        psycopg2.extensions.set_wait_callback(_wait_for_result)
        scheme, separator, address = url.partition("://")
        self._url = f"{scheme.partition('+')[0]}{separator}{address}"
        self._connections: queue.LifoQueue[Any] = queue.LifoQueue()
        self._failed_at = -FAILURE_PAUSE_SECONDS
        for _ in range(MAX_CONNECTIONS):
            self._connections.put(None)  # connected when it is needed
        self._create_tables()

    def execute(self, statement: str, *values: object) -> list[Row]:
        """Run a statement and return its rows.

        A statement is never repeated, because the server may have executed it before the connection was lost.
        A connection that the server closed while it was idle is replaced before the statement is sent.
        """
        if time.monotonic() < self._failed_at + FAILURE_PAUSE_SECONDS:
            raise DatabaseError("The database failed a moment ago.")
        try:
            connection = self._connections.get(timeout=RESPONSE_TIMEOUT_SECONDS)
        except queue.Empty:
            raise DatabaseError("No connection is free.") from None
        try:
            if connection is not None and _has_unread_input(connection):
                connection.close()
            if connection is None or connection.closed:
                connection = self._open_connection()
            return _run_statement(connection, statement, values)
        except psycopg2.Error as error:
            if isinstance(error, CONNECTION_ERRORS):
                self._failed_at = time.monotonic()
            raise DatabaseError(type(error).__name__) from None
        finally:
            self._connections.put(None if connection is None or connection.closed else connection)

    def close(self) -> None:
        """Close the idle connections."""
        while True:
            try:
                connection = self._connections.get_nowait()
            except queue.Empty:
                return
            if connection is not None:
                connection.close()

    def _open_connection(self) -> Any:
        connection = psycopg2.connect(self._url, options=OPTIONS)
        connection.autocommit = True
        return connection

    def _create_tables(self) -> None:
        try:
            connection = self._open_connection()
        except psycopg2.Error as error:
            raise DatabaseError(type(error).__name__) from None
        try:
            with connection.cursor() as cursor:
                cursor.execute("BEGIN")
                cursor.execute("SELECT pg_advisory_xact_lock(%s)", (SETUP_LOCK,))
                for statement in (
                    f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}",
                    *TABLES,
                    *_add_columns(),
                    ADD_TEAM_TO_MESSAGES_KEY,
                ):
                    cursor.execute(statement)
                cursor.execute("COMMIT")
        except psycopg2.Error as error:
            raise DatabaseError(f"{type(error).__name__}: {str(error).splitlines()[0]}") from None
        finally:
            connection.close()


def _add_columns() -> list[str]:
    return [
        f"ALTER TABLE {table} ADD COLUMN IF NOT EXISTS {definition}" for table, definition in ADDED_COLUMNS
    ]


def _run_statement(connection: Any, statement: str, values: tuple[object, ...]) -> list[Row]:
    with connection.cursor() as cursor:
        cursor.execute(statement.replace("%", "%%").replace("?", "%s"), values)
        return [] if cursor.description is None else cursor.fetchall()


def _has_unread_input(connection: Any) -> bool:
    """Return whether an idle connection has input. The server sends some when it closes one."""
    poll = select.poll()
    poll.register(connection.fileno(), select.POLLIN)
    return bool(poll.poll(0))


def _wait_for_result(connection: Any) -> None:
    """Wait for the response to a statement. Raises `ResponseTimeout` if it takes too long."""
    until = time.monotonic() + RESPONSE_TIMEOUT_SECONDS
    while (state := connection.poll()) != psycopg2.extensions.POLL_OK:
        poll = select.poll()
        is_read = state == psycopg2.extensions.POLL_READ
        poll.register(connection.fileno(), select.POLLIN if is_read else select.POLLOUT)
        if not poll.poll(max(0.0, until - time.monotonic()) * 1000):
            raise ResponseTimeout("The database did not respond in time.")
