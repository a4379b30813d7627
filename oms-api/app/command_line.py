"""Functions of all command-line programs: open the database, run the work, and report failures."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from app.config import ConfigurationError, Settings
from app.database import Readers, connect_engine
from app.database.failures import format_reason
from app.migrate import is_current

CANNOT = 2  # the exit status of a program that cannot work
_UNUSABLE_DATABASE_MESSAGE = "The database cannot be used: {reason}. Check DATABASE_URL."


class CannotRun(Exception):
    """Raised when the database has no tables of this version, or the port of the metrics is in use."""


def run_program(
    work: Callable[[], int], *refusals: type[Exception], message: str = _UNUSABLE_DATABASE_MESSAGE
) -> int:
    """Return the exit status of `work`. If it fails as expected, print why and return CANNOT.

    Expected are `refusals`, invalid settings, and failures of the database, which `message` describes.
    """
    expected: tuple[type[Exception], ...] = (ConfigurationError, *refusals)
    try:
        return work()
    except expected as error:
        sys.stderr.write(f"{error}\n")
    except SQLAlchemyError as error:
        sys.stderr.write(f"{message.format(reason=format_reason(error))}\n")
    return CANNOT


@contextmanager
def open_database(settings: Settings, threads: int = 1) -> Iterator[tuple[Engine, Readers]]:
    """Yield an engine with the rights of the service and its readers, which are closed at the end."""
    timeout = settings.database_timeout_seconds
    engine = connect_engine(settings.database_url, threads, timeout, tenant_scoped=True)
    readers = Readers(engine, threads)
    try:
        yield engine, readers
    finally:
        readers.close()
        engine.dispose()


def require_tables(engine: Engine) -> None:
    """Raise CannotRun if the database has no tables of this version."""
    with engine.connect() as connection:
        if not is_current(connection):
            raise CannotRun("The tables are not those of this version. Run `python -m app.migrate`.")
