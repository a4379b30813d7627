"""Start the process `python -m app.backtest_job` while backtests wait."""

import asyncio
import logging
import subprocess
import sys
from threading import Event

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from app.backtests.queries import has_due_backtest
from app.clock import Now
from app.database import ALL_TENANTS, snapshot

CHECK_SECONDS = 1.0
POLL_SECONDS = 0.1
COMMAND = (sys.executable, "-m", "app.backtest_job")
_LOG = logging.getLogger(__name__)


class BacktestRunner:
    """Starts one process at a time, so that backtests take no time from requests."""

    def __init__(self, engine: Engine, now: Now) -> None:
        self._engine, self._now = engine, now

    async def run(self) -> None:
        """Start processes until canceled. A running one is ended then; its backtest starts again later."""
        stop = Event()
        try:
            await asyncio.to_thread(self.run_until, stop)
        finally:
            stop.set()

    def run_until(self, stop: Event) -> None:
        """Start processes until `stop` is set."""
        while not stop.wait(CHECK_SECONDS):
            try:
                if self._has_work():
                    _run_process(stop)
            except (SQLAlchemyError, OSError) as error:
                _LOG.warning("no backtest was started: %s", type(error).__name__)

    def _has_work(self) -> bool:
        with snapshot(self._engine, ALL_TENANTS) as connection:
            return has_due_backtest(connection, self._now())


def _run_process(stop: Event) -> None:
    with subprocess.Popen(COMMAND, stdin=subprocess.DEVNULL) as process:  # noqa: S603  # our own module
        while process.poll() is None:
            if stop.wait(POLL_SECONDS):
                process.terminate()
                return
