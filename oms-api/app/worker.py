"""Runs the background jobs outside of the API processes: `python -m app.worker`, with DUTIES=worker.

Start any number of workers. Exit status: 0 stopped by SIGTERM or SIGINT, 2 the database is not usable.
"""

import signal
import sys
from threading import Event

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from app.assembly import create_delivery_runner, create_duty_runner, create_market, create_writer
from app.calendars.service import Calendars
from app.clock import SteadyClock
from app.config import ConfigurationError, Settings, load_settings
from app.database import Readers, connect_engine
from app.database.failures import format_reason
from app.logs import configure_logging
from app.migrate import is_current

STOPPED, CANNOT = 0, 2


class CannotWork(Exception):
    """The database has no tables of this version."""


def run(settings: Settings, stop: Event) -> None:
    """Run the duties of an installation until `stop` is set. Raise CannotWork."""
    engine = connect_engine(
        settings.database_url, readers=1, timeout_seconds=settings.database_timeout_seconds,
        tenant_scoped=True,
    )  # fmt: skip
    readers = Readers(engine, 1)
    try:
        _require_tables(engine)
        calendars, now = Calendars.load(), SteadyClock()
        market = create_market(settings, readers, calendars)
        writer = create_writer(settings, engine, market, calendars)
        duty_runner = create_duty_runner(settings, engine, market, calendars, writer, now)
        delivery_runner = create_delivery_runner(settings, engine, now)
        writer.start()
        delivery_runner.start()
        try:
            duty_runner.run_until(stop)
        finally:
            duty_runner.close()
            delivery_runner.close()
            writer.close()
    finally:
        readers.close()
        engine.dispose()


def main() -> int:
    """Work until a signal arrives, and return the exit status."""
    stop = Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    try:
        settings = load_settings()
        configure_logging(settings.logs_as_json, settings.log_level)
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
