"""Runs the active strategies: `python -m app.strategy_host`, with STRATEGY_HOST=process in the API.

Start any number of processes: one of them is the host, and another takes over if it ends. Exit status: 0
stopped by SIGTERM or SIGINT, 2 the database is not usable.
"""

import asyncio
import signal
import sys

from sqlalchemy.exc import SQLAlchemyError

from app.assembly import create_market, create_writer
from app.calendars.service import Calendars
from app.clock import SteadyClock
from app.config import ConfigurationError, Settings, load_settings
from app.database import Readers, connect_engine
from app.database.failures import format_reason
from app.error_reports import configure_error_reports
from app.logs import configure_logging
from app.migrate import is_current
from app.orders.service.order_service import OrderService
from app.orders.service.quote_matcher import QuoteMatcher
from app.strategies.service.environment import create_code_catalog
from app.strategies.service.host import StrategyHost
from app.strategies.service.runner_factory import RunnerFactory

STOPPED, CANNOT = 0, 2
READERS = 4


class CannotWork(Exception):
    """Raised when the database has no tables of this version."""


async def run(settings: Settings, stop: asyncio.Event) -> None:
    """Run strategies until `stop` is set. Raises CannotWork."""
    engine = connect_engine(
        settings.database_url, readers=READERS, timeout_seconds=settings.database_timeout_seconds,
        tenant_scoped=True,
    )  # fmt: skip
    readers, now, calendars = Readers(engine, READERS), SteadyClock(), Calendars.load()
    try:
        with engine.connect() as connection:
            if not is_current(connection):
                message = "The tables are not those of this version. Run `python -m app.migrate`."
                raise CannotWork(message)
        market = create_market(settings, engine, readers, calendars)
        writer = create_writer(settings, engine, market, calendars)
        orders = OrderService(writer, QuoteMatcher(writer, readers, market, now), now, readers)
        runners = RunnerFactory(create_code_catalog(settings))
        writer.start()
        try:
            host = asyncio.create_task(StrategyHost(engine, readers, market, orders, runners, now).run())
            await stop.wait()
            host.cancel()
            await asyncio.gather(host, return_exceptions=True)
        finally:
            writer.close()
    finally:
        readers.close()
        engine.dispose()


async def run_until_signal(settings: Settings) -> None:
    """Run strategies until a signal arrives."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await run(settings, stop)


def main() -> int:
    """Work until a signal arrives, and return the exit status."""
    try:
        settings = load_settings()
        configure_logging(settings.logs_as_json, settings.log_level)
        configure_error_reports(settings)
        asyncio.run(run_until_signal(settings))
    except (ConfigurationError, CannotWork) as error:
        sys.stderr.write(f"{error}\n")
        return CANNOT
    except SQLAlchemyError as error:
        sys.stderr.write(f"The database cannot be used: {format_reason(error)}. Check DATABASE_URL.\n")
        return CANNOT
    return STOPPED


if __name__ == "__main__":
    sys.exit(main())
