"""Run backtests that wait: claim one, run it, and store its result with an event."""

import gzip
import logging
from collections.abc import Mapping
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import orjson
from sqlalchemy import Engine

from app.backtests import queries
from app.backtests.errors import InvalidBacktest, StrategyFailed
from app.backtests.rules.jobs import (
    PROGRESS_PARTS,
    Backtest,
    BacktestStatus,
    build_settings,
    compute_progress,
)
from app.backtests.rules.settings import BacktestSettings
from app.backtests.service.engine import BacktestRun
from app.backtests.service.loading import locate_code
from app.backtests.service.recorder import Recorder
from app.backtests.service.report import build_report
from app.backtests.service.results import build_result, compute_statistics
from app.backtests.service.runs import RunStrategy, prepare_sandboxed, prepare_trusted
from app.backtests.service.stored_bars import StoredBars
from app.clock import Now, monotonic_seconds
from app.database import ALL_TENANTS, snapshot, unit_of_work
from app.events.service.outbox import publish_event
from app.jobs.service.process_lease import build_holder_name
from app.ledger.queries.corporate_actions import list_actions_of_symbols
from app.market_data.rules.bars import Interval
from app.market_data.service import Market
from app.sandbox.errors import SandboxUnavailable
from app.sandbox.rules.limits import SandboxLimits
from app.sandbox.service.policy import SandboxPolicy

LEASE = timedelta(minutes=2)
LIMITS = SandboxLimits(
    response_wall_seconds=90
)  # shorter than the lease, which is renewed between two blocks of bars
REPORT_SECONDS = 1.0  # between two stored progresses
MAX_ERROR_LENGTH = 2_000
FILES = ("orders.csv", "fills.csv", "equity.csv")
REPORT_NAME = "report.html"
DONE_EVENT, FAILED_EVENT = "backtest.done", "backtest.failed"
_LOG = logging.getLogger(__name__)


class RunCanceled(Exception):
    """Raised when the backtest was deleted, or another process runs it."""


class BacktestJobs:
    """Runs the backtests of all tenants, one after another."""

    def __init__(self, engine: Engine, market: Market, policy: SandboxPolicy, now: Now) -> None:
        self._engine, self._market, self._policy, self._now = engine, market, policy, now
        self._holder = build_holder_name()

    def run_next(self) -> Backtest | None:
        """Run the oldest backtest that waits, and return it; None if there is none."""
        now = self._now()
        with unit_of_work(self._engine, ALL_TENANTS) as connection:
            backtest = queries.claim_backtest(connection, self._holder, now, now + LEASE)
        if backtest is None:
            return None
        try:
            self._run_backtest(backtest)
        except RunCanceled:
            _LOG.info("the backtest %s was canceled", backtest.id)
        except (InvalidBacktest, StrategyFailed, ArithmeticError, ValueError) as error:
            self._record_failure(backtest, str(error))
        except Exception as error:  # noqa: BLE001  # the next backtests must still run
            self._record_failure(backtest, f"The backtest failed: {type(error).__name__}.")
            _LOG.exception("the backtest %s failed", backtest.id)
        return backtest

    def _run_backtest(self, backtest: Backtest) -> None:
        settings, interval = self._build_settings(backtest), Interval(backtest.interval)
        run_strategy, parameters = (
            self._prepare_strategy(backtest, settings),
            orjson.loads(backtest.parameters),
        )
        period = (backtest.since, backtest.until)
        names = sorted({*backtest.symbol_names, *settings.rate_symbols})
        bars = StoredBars(
            engine=self._engine,
            market=self._market,
            tenant_id=backtest.tenant_id,
            symbols=names,
            interval=interval,
            period=period,
            now=self._now,
        )
        progress = _Progress(self, backtest)
        with TemporaryDirectory() as name:
            folder = Path(name)
            with closing(Recorder(folder)) as recorder:
                finished_run = run_strategy(
                    backtest.symbol_names, recorder, bars.read_blocks(progress.update)
                )
            run, code_hash = finished_run.run, finished_run.code_hash
            hashes = {"code_hash": code_hash, "data_hash": bars.data_hash, "result_hash": run.result_hash}
            statistics = compute_statistics(run)
            result = build_result(backtest.strategy, parameters, hashes, statistics)
            (folder / REPORT_NAME).write_text(build_report(result, run.points), encoding="utf-8")
            self._store_result(backtest, folder, run, bars.data_hash, statistics)

    def _build_settings(self, backtest: Backtest) -> BacktestSettings:
        """Return the settings of a run, with the corporate actions that the service stores."""
        settings = build_settings(
            Interval(backtest.interval), backtest.cash, backtest.costs, orjson.loads(backtest.settings),
            backtest.seed, backtest.strategy,
        )  # fmt: skip
        period, names = (backtest.since, backtest.until), backtest.symbol_names
        with snapshot(self._engine, backtest.tenant_id) as connection:
            actions = list_actions_of_symbols(connection, backtest.tenant_id, names, period)
        return settings._replace(actions=tuple(actions))

    def _prepare_strategy(self, backtest: Backtest, settings: BacktestSettings) -> RunStrategy:
        """Return the runner of the strategy. Raises InvalidBacktest, and the errors of a trusted module."""
        if locate_code(backtest.entry_point).code_hash != backtest.code_hash:
            raise InvalidBacktest("The code changed since the backtest was asked for; ask for it again.")
        parameters = orjson.loads(backtest.parameters)
        try:
            is_sandboxed = self._policy.requires_sandbox(backtest.entry_point)
        except SandboxUnavailable as error:
            raise InvalidBacktest(str(error)) from None
        if is_sandboxed:
            return prepare_sandboxed(backtest.entry_point, parameters, settings, LIMITS)
        return prepare_trusted(backtest.entry_point, parameters, settings)

    def _store_result(
        self,
        backtest: Backtest,
        folder: Path,
        run: BacktestRun,
        data_hash: str,
        statistics: Mapping[str, Any],
    ) -> None:
        """Store the result of a run. Raises RunCanceled."""
        changes = {
            "status": BacktestStatus.DONE, "progress": PROGRESS_PARTS, "data_hash": data_hash,
            "result_hash": run.result_hash, "statistics": orjson.dumps(statistics).decode(),
        }  # fmt: skip
        files = {
            name: gzip.compress((folder / name).read_bytes(), 6, mtime=0) for name in (*FILES, REPORT_NAME)
        }
        self._record_end(backtest, changes, DONE_EVENT, files)

    def _record_failure(self, backtest: Backtest, error: str) -> None:
        changes = {"status": BacktestStatus.FAILED, "error": error[:MAX_ERROR_LENGTH]}
        try:
            self._record_end(backtest, changes, FAILED_EVENT, {})
        except RunCanceled:
            _LOG.info("the backtest %s was canceled", backtest.id)

    def _record_end(
        self, backtest: Backtest, changes: Mapping[str, Any], event: str, files: Mapping[str, bytes]
    ) -> None:
        now = self._now()
        with unit_of_work(self._engine, backtest.tenant_id) as connection:
            values = {**changes, "finished_at": now, "leased_until": None}
            if not queries.update_claimed(connection, backtest, values):
                raise RunCanceled
            for name, content in files.items():
                queries.insert_file(connection, backtest, name, content)
            payload = {
                "backtest_id": backtest.id, "strategy": backtest.strategy, "status": changes["status"],
                "error": changes.get("error"), "result_hash": changes.get("result_hash"),
                "actor": backtest.created_by,
            }  # fmt: skip
            publish_event(connection, backtest.tenant_id, event, payload, now)

    def store_progress(self, backtest: Backtest, progress: int) -> None:
        """Store the progress and renew the lease. Raises RunCanceled."""
        with unit_of_work(self._engine, backtest.tenant_id) as connection:
            changes = {"progress": progress, "leased_until": self._now() + LEASE}
            if not queries.update_claimed(connection, backtest, changes):
                raise RunCanceled


class _Progress:
    """Stores how far a backtest is, at most once a second."""

    def __init__(self, jobs: BacktestJobs, backtest: Backtest) -> None:
        self._jobs, self._backtest = jobs, backtest
        self._next = monotonic_seconds()

    def update(self, until: datetime) -> None:
        """Store that the bars up to an instant are done. Raises RunCanceled."""
        if monotonic_seconds() < self._next:
            return
        self._next = monotonic_seconds() + REPORT_SECONDS
        progress = compute_progress(self._backtest.since, self._backtest.until, until)
        self._jobs.store_progress(self._backtest, progress)
