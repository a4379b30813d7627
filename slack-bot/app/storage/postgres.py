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
CONNECT_SECONDS = 3
ANSWER_SECONDS = 2.0  # a database that does not answer must not delay trades for long
PAUSE_SECONDS = 1.0  # after a failure, statements fail at once
SETUP_LOCK = 5_106_014  # bots that start together create the tables one after the other
OPTIONS = f"-c search_path={SCHEMA} -c statement_timeout=1500 -c lock_timeout=1500"
ADD_TEAM_TO_MESSAGES_KEY = f"""DO $$ BEGIN
    IF EXISTS (SELECT FROM pg_constraint WHERE conname = 'order_messages_pkey'
            AND connamespace = '{SCHEMA}'::regnamespace) THEN
        ALTER TABLE order_messages DROP CONSTRAINT order_messages_pkey, ADD {MESSAGES_KEY};
    END IF;
END $$"""
UNAVAILABLE = (psycopg2.OperationalError, psycopg2.InterfaceError)


class PostgresDatabase:
    """A small pool of connections. Each statement commits by itself."""

    is_shared = True
    now = "extract(epoch FROM clock_timestamp())::double precision"

    def __init__(self, url: str):
        """Connect, and create the tables. Raises `DatabaseError`."""
        psycopg2.extensions.set_wait_callback(_wait_for_result)
        scheme, separator, address = url.partition("://")
        self._url = f"{scheme.partition('+')[0]}{separator}{address}"
        self._connections: queue.LifoQueue[Any] = queue.LifoQueue()
        self._failed_at = -PAUSE_SECONDS
        for _ in range(MAX_CONNECTIONS):
            self._connections.put(None)  # connected when it is needed
        self._create_tables()

    def execute(self, statement: str, *values: object) -> list[Row]:
        """Run a statement and return its rows. A connection that the server closed is replaced once."""
        if time.monotonic() < self._failed_at + PAUSE_SECONDS:
            raise DatabaseError("The database failed a moment ago.")
        try:
            connection = self._connections.get(timeout=ANSWER_SECONDS)
        except queue.Empty:
            raise DatabaseError("No connection is free.") from None
        is_reused = connection is not None
        try:
            connection = connection or self._open_connection()
            try:
                return _run_statement(connection, statement, values)
            except UNAVAILABLE:
                if not (is_reused and connection.closed):
                    raise
                connection = self._open_connection()
                return _run_statement(connection, statement, values)
        except psycopg2.Error as error:
            if isinstance(error, UNAVAILABLE):
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
        connection = psycopg2.connect(self._url, connect_timeout=CONNECT_SECONDS, options=OPTIONS)
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
                cursor.execute("SET LOCAL statement_timeout = 0")
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


def _wait_for_result(connection: Any) -> None:
    """Wait for the answer to a statement. Raises OperationalError if it takes too long."""
    until = time.monotonic() + ANSWER_SECONDS
    while (state := connection.poll()) != psycopg2.extensions.POLL_OK:
        poll = select.poll()
        is_read = state == psycopg2.extensions.POLL_READ
        poll.register(connection.fileno(), select.POLLIN if is_read else select.POLLOUT)
        if not poll.poll(max(0.0, until - time.monotonic()) * 1000):
            raise psycopg2.OperationalError("The database did not answer in time.")
