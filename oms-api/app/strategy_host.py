"""Run the active strategies: `python -m app.strategy_host`, with STRATEGY_HOST=process in the API.

Start any number of processes: one of them is the host, and another takes over if it ends. Exit status: 0
stopped by SIGTERM or SIGINT, 2 the settings or the database cannot be used.
"""

import asyncio
import signal
import sys

from app.assembly.components import create_market, create_writer
from app.calendars.service import Calendars
from app.clock import SteadyClock
from app.command_line import CannotRun, open_database, require_tables, run_program
from app.config import Settings, load_settings
from app.error_reports import configure_error_reports
from app.logs import configure_logging
from app.orders.service.order_service import OrderService
from app.orders.service.quote_matcher import QuoteMatcher
from app.strategies.service.environment import create_code_catalog
from app.strategies.service.host import StrategyHost
from app.strategies.service.runner_factory import RunnerFactory

STOPPED = 0
READERS = 4


async def run(settings: Settings, stop: asyncio.Event) -> None:
    """Run strategies until `stop` is set. Raises CannotRun."""
    now, calendars = SteadyClock(), Calendars.load()
    with open_database(settings, READERS) as (engine, readers):
        require_tables(engine)
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


async def run_until_signal(settings: Settings) -> None:
    """Run strategies until a signal arrives."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await run(settings, stop)


def main() -> int:
    """Work until a signal arrives, and return the exit status."""

    def work() -> int:
        settings = load_settings()
        configure_logging(settings.logs_as_json, settings.log_level)
        configure_error_reports(settings)
        asyncio.run(run_until_signal(settings))
        return STOPPED

    return run_program(work, CannotRun)


if __name__ == "__main__":
    sys.exit(main())
