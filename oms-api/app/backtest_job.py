"""Run the backtests that wait, one after another, and exit: `python -m app.backtest_job`.

The service starts it as a separate process, so that a backtest takes no time from requests. Exit status: 0
no backtest waits any more, 2 the settings or the database cannot be used.
"""

import sys

from app.assembly.components import create_market
from app.backtests.service.jobs import BacktestJobs
from app.calendars.service import Calendars
from app.clock import SteadyClock
from app.command_line import open_database, run_program
from app.config import Settings, load_settings
from app.logs import configure_logging
from app.strategies.service.environment import create_sandbox_policy

DONE = 0


def run_queued_backtests(settings: Settings) -> None:
    """Run the backtests that wait."""
    with open_database(settings) as (engine, readers):
        market = create_market(settings, engine, readers, Calendars.load())
        jobs = BacktestJobs(engine, market, create_sandbox_policy(settings), SteadyClock())
        while jobs.run_next() is not None:
            pass


def main() -> int:
    """Run the queued backtests, and return the exit status."""

    def work() -> int:
        settings = load_settings()
        configure_logging(settings.logs_as_json, settings.log_level)
        run_queued_backtests(settings)
        return DONE

    return run_program(work)


if __name__ == "__main__":
    sys.exit(main())
