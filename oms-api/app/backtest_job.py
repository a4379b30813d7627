"""Runs the backtests that wait, one after another, and ends: `python -m app.backtest_job`.

The service starts it as a separate process, so that a backtest takes no time from requests. Exit status: 0
no backtest waits any more, 2 the database is not usable.
"""

import sys

from sqlalchemy.exc import SQLAlchemyError

from app.assembly import create_market
from app.backtests.service.jobs import BacktestJobs
from app.calendars.service import Calendars
from app.clock import SteadyClock
from app.config import ConfigurationError, Settings, load_settings
from app.database import Readers, connect_engine
from app.database.failures import format_reason
from app.logs import configure_logging
from app.strategies.service.environment import create_sandbox_policy

DONE, CANNOT = 0, 2


def run_queued_backtests(settings: Settings) -> None:
    """Run the backtests that wait."""
    engine = connect_engine(
        settings.database_url, readers=1, timeout_seconds=settings.database_timeout_seconds,
        tenant_scoped=True,
    )  # fmt: skip
    readers, now = Readers(engine, 1), SteadyClock()
    try:
        market = create_market(settings, engine, readers, Calendars.load())
        jobs = BacktestJobs(engine, market, create_sandbox_policy(settings), now)
        while jobs.run_next() is not None:
            pass
    finally:
        readers.close()
        engine.dispose()


def main() -> int:
    """Run what waits, and return the exit status."""
    try:
        settings = load_settings()
        configure_logging(settings.logs_as_json, settings.log_level)
        run_queued_backtests(settings)
    except ConfigurationError as error:
        sys.stderr.write(f"{error}\n")
        return CANNOT
    except SQLAlchemyError as error:
        sys.stderr.write(f"The database cannot be used: {format_reason(error)}. Check DATABASE_URL.\n")
        return CANNOT
    return DONE


if __name__ == "__main__":
    sys.exit(main())
