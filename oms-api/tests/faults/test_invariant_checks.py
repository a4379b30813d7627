"""Controls: the invariant checks find the faults of a sabotaged service and of tampered books."""

import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path

import pytest

from tests.faults.conftest import FaultSetup
from tests.faults.invariant_checks import find_faults
from tests.faults.journal import Journal
from tests.faults.load import resolve_open_requests, run_load, wait_for_more
from tests.faults.process_control import OmsProcess, run_services
from tests.faults.seeds import create_random, sleep_at_random


def find_faults_after_kill(stage: FaultSetup, journal: Journal, fault: str) -> str:
    """Kill a sabotaged service under load, resolve through an unmodified one, and return the faults found."""
    random, oms = create_random(0, fault), stage.oms(fault)
    with run_services(oms):
        with run_load(journal, [oms.port], fault.partition(":")[0]):
            wait_for_more(journal, 150)
            sleep_at_random(random)
            oms.kill()
        oms.fault = ""
        oms.start()
        with suppress(AssertionError):  # what was lost may never resolve
            resolve_open_requests(journal, oms.port, seconds=0)
        return "\n".join(find_faults(journal, stage.database_url))


def test_service_that_answers_before_its_commit_is_detected(setup: FaultSetup, journal: Journal):
    assert "acknowledged and lost" in find_faults_after_kill(setup, journal, "answer_before_commit:100")


def test_service_that_drops_rows_is_detected(sqlite_setup: FaultSetup, journal: Journal):
    assert "acknowledged and lost" in find_faults_after_kill(sqlite_setup, journal, "drop_every:100")


def test_service_that_forgets_idempotency_keys_is_detected(sqlite_setup: FaultSetup, journal: Journal):
    result = find_faults_after_kill(sqlite_setup, journal, "forget_keys")
    assert "in the ledger, not in the journal" in result


@pytest.fixture
def consistent_setup(sqlite_setup: FaultSetup, journal: Journal) -> FaultSetup:
    """Books that are in order."""
    oms: OmsProcess = sqlite_setup.oms()
    with run_services(oms):
        with run_load(journal, [oms.port], "consistent_stage"):
            wait_for_more(journal, 60)
        oms.stop()
    assert journal.unresolved() == []
    assert find_faults(journal, sqlite_setup.database_url) == []
    return sqlite_setup


THIRD = "sequence = 3 AND portfolio_id = (SELECT min(id) FROM portfolios)"
LIES: dict[str, tuple[str, Callable[[str], bool]]] = {
    "a row lost": (
        f"DELETE FROM trades WHERE {THIRD}",  # noqa: S608  # literals of the tests
        lambda result: "acknowledged and lost" in result and "sequence is 4, must be 3" in result,
    ),
    "an amount changed": (
        f"UPDATE trades SET gmv = '1.00000000' WHERE {THIRD}",  # noqa: S608  # literals of the tests
        lambda result: "hash of row 3" in result and "cash of row 3" in result,
    ),
    "a position changed": (
        "UPDATE positions SET cost = '1.00000000'",
        lambda result: "positions is" in result,
    ),
    "cash changed": (
        "UPDATE portfolios SET cash = '1.00000000'",
        lambda result: "cash is 100000000" in result,
    ),
    "an event twice": (
        "INSERT INTO events (tenant_id, type, payload, created_at)"
        " SELECT tenant_id, type, payload, created_at FROM events LIMIT 1",
        lambda result: "stands 2 times" in result,
    ),
    "time running back": (
        "UPDATE trades SET created_at = '2020-01-01T00:00:00.000000Z' WHERE sequence = 3",
        lambda result: "precedes its predecessor" in result,
    ),
}


def test_tampered_books_are_detected(consistent_setup: FaultSetup, journal: Journal, tmp_path: Path):
    tampered = tmp_path / "tampered.db"
    for lie, (statement, is_found) in LIES.items():
        shutil.copy(consistent_setup.database_url.removeprefix("sqlite:///"), tampered)
        with closing(sqlite3.connect(tampered)) as books:
            books.executescript("DROP TRIGGER trades_refuse_update; DROP TRIGGER trades_refuse_delete")
            books.executescript(statement)
        result = "\n".join(find_faults(journal, f"sqlite:///{tampered}"))
        assert is_found(result), f"{lie}: {result}"


def test_rejected_but_recorded_trade_is_detected(consistent_setup: FaultSetup, journal: Journal):
    intent = journal.acknowledged()[0]
    intent.acknowledged.clear()
    intent.refused = True
    assert find_faults(journal, consistent_setup.database_url) == [
        f"{intent.key}: said to be not placed, and recorded"
    ]
