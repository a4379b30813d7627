"""Runs the background jobs outside of the API processes: `python -m app.worker`, with DUTIES=worker.

Start any number of workers. Exit status: 0 stopped by SIGTERM or SIGINT, 2 the database is not usable.
"""

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from app.assembly import create_market, create_writer
from app.background_jobs import create_delivery_runner, create_duty_runner
from app.calendars.service import Calendars
from app.clock import SteadyClock
from app.config import ConfigurationError, Settings, load_settings
from app.database import Readers, connect_engine
from app.database.failures import format_reason
from app.duties.service import DutyRunner
from app.error_reports import configure_error_reports
from app.logs import configure_logging
from app.migrate import is_current

STOPPED, CANNOT = 0, 2


class CannotWork(Exception):
    """The database has no tables of this version."""


@contextmanager
def open_duty_runner(settings: Settings) -> Iterator[tuple[Engine, DutyRunner]]:
    """Yield the runner of the duties with its engine, which are closed at the end. Raise CannotWork."""
    engine = connect_engine(
        settings.database_url, readers=1, timeout_seconds=settings.database_timeout_seconds,
        tenant_scoped=True,
    )  # fmt: skip
    readers = Readers(engine, 1)
    try:
        _require_tables(engine)
        calendars = Calendars.load()
        market = create_market(settings, engine, readers, calendars)
        writer = create_writer(settings, engine, market, calendars)
        runner = create_duty_runner(settings, engine, market, calendars, writer, SteadyClock())
        writer.start()
        try:
            yield engine, runner
        finally:
            runner.close()
            writer.close()
    finally:
        readers.close()
        engine.dispose()


def run(settings: Settings, stop: Event) -> None:
    """Run the duties of an installation until `stop` is set. Raise CannotWork."""
    with open_duty_runner(settings) as (engine, runner):
        delivery_runner = create_delivery_runner(settings, engine, SteadyClock())
        delivery_runner.start()
        try:
            runner.run_until(stop)
        finally:
            delivery_runner.close()


def main() -> int:
    """Work until a signal arrives, and return the exit status."""
    stop = Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    try:
        settings = load_settings()
        configure_logging(settings.logs_as_json, settings.log_level)
        configure_error_reports(settings)
        run(settings, stop)
    except (ConfigurationError, CannotWork) as error:
        sys.stderr.write(f"{error}\n")
        return CANNOT
    except SQLAlchemyError as error:
        sys.stderr.write(f"The database cannot be used: {format_reason(error)}. Check DATABASE_URL.\n")
        return CANNOT
    return STOPPED


def _require_tables(engine: Engine) -> None:
    with engine.connect() as connection:
        if not is_current(connection):
            raise CannotWork("The tables are not those of this version. Run `python -m app.migrate`.")


if __name__ == "__main__":
    sys.exit(main())
