"""kill -9 and a freeze of one of two worker processes under load, while each forwards requests."""

import os
import re
import signal
from pathlib import Path

from tests.faults.conftest import FaultSetup
from tests.faults.journal import Journal
from tests.faults.load import Connection, resolve_open_requests, run_load, wait_for_more
from tests.faults.process_control import START_SECONDS, OmsProcess, resume_processes, run_services, wait_until

ANSWERED = re.compile(r'oms_forwarded_requests_total\{outcome="answered"\} ([0-9.]+)')


def list_workers(oms: OmsProcess) -> list[int]:
    """Return the process ids of the workers."""
    supervisor = oms.process.pid
    children = Path(f"/proc/{supervisor}/task/{supervisor}/children").read_text().split()
    return [int(pid) for pid in children if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes()]


def has_forwarded(oms: OmsProcess) -> bool:
    """Return whether the worker that answers has forwarded requests."""
    with Connection(oms.port) as connection:
        found = ANSWERED.search(connection.call("GET", "/metrics")[2])
    return found is not None and float(found[1]) > 0


def test_a_killed_worker_loses_and_duplicates_nothing(postgres_setup: FaultSetup, journal: Journal):
    oms = postgres_setup.oms(WEB_CONCURRENCY="2")
    with run_services(oms):
        wait_until(lambda: len(list_workers(oms)) == 2, START_SECONDS, "two workers run")
        with run_load(journal, [oms.port], "killed", connections=8):
            wait_until(lambda: has_forwarded(oms), START_SECONDS, "a request was forwarded")
            wait_for_more(journal, 60)
            os.kill(list_workers(oms)[0], signal.SIGKILL)
            wait_for_more(journal, 60)
        resolve_open_requests(journal, oms.port)
        postgres_setup.assert_books_consistent(journal)
        oms.stop()


def test_a_frozen_worker_does_not_stop_the_other_one(postgres_setup: FaultSetup, journal: Journal):
    oms = postgres_setup.oms(WEB_CONCURRENCY="2")
    with run_services(oms):
        wait_until(lambda: len(list_workers(oms)) == 2, START_SECONDS, "two workers run")
        with run_load(journal, [oms.port], "frozen", connections=8):
            wait_until(lambda: has_forwarded(oms), START_SECONDS, "a request was forwarded")
            frozen = list_workers(oms)[0]
            os.kill(frozen, signal.SIGSTOP)
            try:
                wait_for_more(journal, 20)
            finally:
                resume_processes([frozen])
            wait_for_more(journal, 60)
        for intent in journal.intents.values():
            # "Not placed" speaks for a repeated request, not for the first one that the frozen worker had.
            intent.refused = False
        resolve_open_requests(journal, oms.port)
        postgres_setup.assert_books_consistent(journal)
        oms.stop()
