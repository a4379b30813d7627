"""Four workers that are killed at random run each job once in each slot, and the books stay provable."""

import os
import random
import signal
import sys
import time
from collections import Counter
from datetime import datetime, timedelta
from itertools import pairwise

import pytest
from sqlalchemy import text

from app.verify import format_report, verify_database
from tests.jobs.fleet_worker import LEASE_SECONDS, PERIODS
from tests.support.guarded_programs import start_guarded
from tests.support.processes import HOME, build_environment
from tests.support.service import run_service

WORKERS = 4
SECONDS = float(os.environ.get("FLEET_SECONDS", "600"))
SLOWNESS = timedelta(seconds=60)  # of a busy machine
PAUSES = (3.0, 15.0)  # seconds between two kills: a worker needs some to start


class Fleet:
    """Worker processes, of which one after another is killed and replaced."""

    def __init__(self, database_url, journal, log):
        self._environment = build_environment(
            DATABASE_URL=database_url, DUTIES="worker", LOG_LEVEL="ERROR", EQUITY_INTERVAL_SECONDS="5",
            JOURNAL=str(journal),
        )  # fmt: skip
        self._log, self._journal = log, journal
        self.kills = 0
        self.processes = [self._start() for _ in range(WORKERS)]

    def _start(self):
        command = [sys.executable, "-m", "tests.jobs.fleet_worker"]
        return start_guarded(command, cwd=HOME, env=self._environment, stdout=self._log, stderr=self._log)

    def kill_one(self, chance):
        """Kill a worker that has run a job. On a busy machine, one needs a minute until it does."""
        assert all(process.poll() is None for process in self.processes), "a worker has ended by itself"
        lines = self._journal.read_text().splitlines() if self._journal.exists() else []
        active = {int(line.rpartition("|")[2]) for line in lines}
        places = [place for place in range(WORKERS) if self.processes[place].pid in active]
        if not places:
            return
        place = chance.choice(places)
        self.processes[place].kill()
        self.processes[place].wait(30)
        self.processes[place] = self._start()
        self.kills += 1

    def stop(self):
        for process in self.processes:
            process.terminate()
        for process in self.processes:
            assert process.wait(300) in {0, -signal.SIGTERM}  # the latter if it was still starting

    def remove(self):
        for process in self.processes:
            if process.poll() is None:
                process.kill()
                process.wait(30)


@pytest.mark.long
@pytest.mark.timeout(SECONDS + 900)
def test_killed_workers_run_each_job_once_in_each_slot(backend, new_database, tmp_path):
    seed = int(os.environ.get("SEED", random.randrange(10**6)))
    print(f"SEED={seed}")
    chance, url, journal = random.Random(seed), new_database(backend), tmp_path / "journal"
    with run_service(url) as service:
        api = service.create_client()
        api.set_quote("AAPL", "99", "101", "100")
        for _ in range(5):
            api.record_trade()
        with (tmp_path / "log").open("wb") as log:
            fleet = Fleet(url, journal, log)
            try:
                end = time.monotonic() + SECONDS
                while time.monotonic() < end:
                    time.sleep(chance.uniform(*PAUSES))
                    fleet.kill_one(chance)
                fleet.stop()
            finally:
                fleet.remove()
        result = verify_database(service.engine)
        assert result.is_clean, list(format_report(result, 0))
        with service.engine.connect() as connection:
            rows = connection.execute(text("SELECT name, slot, status FROM duty_runs")).all()
    executions = [line.split("|")[:2] for line in journal.read_text().splitlines()]
    assert [execution for execution, count in Counter(map(tuple, executions)).items() if count > 1] == []
    for name, seconds in PERIODS.items():
        slots = sorted(datetime.fromisoformat(slot) for job, slot in executions if job == name)
        gaps = [later - earlier for earlier, later in pairwise(slots)]
        assert max(gaps) <= timedelta(seconds=LEASE_SECONDS + 2 * seconds) + SLOWNESS, name
    assert len({tuple(row[:2]) for row in rows}) == len(rows)
    unfinished = sum(status == "running" for _, _, status in rows)
    assert not any(status == "failed" for _, _, status in rows), (tmp_path / "log").read_text()[-3000:]
    assert unfinished <= fleet.kills
    print(f"{fleet.kills} kills, {len(rows)} runs, {len(executions)} counted, {unfinished} cut off")
