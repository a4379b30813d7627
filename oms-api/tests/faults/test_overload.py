"""Overload: a locked portfolio, busy readers, a full queue."""

import threading
import time
from contextlib import closing

import psycopg2
import pytest

from tests.faults.conftest import FaultSetup
from tests.faults.journal import Journal
from tests.faults.load import (
    PROMISED_SECONDS,
    Answer,
    Connection,
    resolve_open_requests,
    run_load,
    wait_for_more,
    wait_for_refusals,
)
from tests.faults.process_control import OmsProcess, run_services, wait_until


def count_acknowledged(journal: Journal, portfolio: str) -> int:
    """Return how many trades of the portfolio were acknowledged."""
    return sum(intent.body.get("portfolio_name") == portfolio for intent in journal.acknowledged())


def test_locked_portfolio_is_rejected_in_time_and_others_continue(
    postgres_setup: FaultSetup, journal: Journal
):
    oms = postgres_setup.oms()
    with run_services(oms):
        with (
            run_load(journal, [oms.port], "locked", portfolios=["Growth"]),
            run_load(journal, [oms.port], "free", portfolios=["Hedge"]),
        ):
            wait_for_more(journal, 100)
            with closing(psycopg2.connect(postgres_setup.database_url)) as other:
                other.cursor().execute("SELECT FROM portfolios WHERE name = 'Growth' FOR UPDATE")
                wait_for_refusals(journal, 30, PROMISED_SECONDS)
                stuck, free = count_acknowledged(journal, "Growth"), count_acknowledged(journal, "Hedge")
                wait_until(
                    lambda: count_acknowledged(journal, "Hedge") >= free + 100,
                    PROMISED_SECONDS,
                    "100 trades elsewhere",
                )
                assert count_acknowledged(journal, "Growth") == stuck
            wait_for_more(journal, 10)
        resolve_open_requests(journal, oms.port)
        postgres_setup.assert_books_consistent(journal)


def get_all(oms: OmsProcess, path: str, count: int) -> list[tuple[Answer, float]]:
    """GET `path` over many connections at once; return the answers, each with how long it took."""
    responses = []

    def get_one() -> None:
        started = time.monotonic()
        with Connection(oms.port) as connection:
            responses.append((connection.call("GET", path), time.monotonic() - started))

    askers = [threading.Thread(target=get_one, daemon=True) for _ in range(count)]
    for asker in askers:
        asker.start()
    for asker in askers:
        asker.join(2 * PROMISED_SECONDS)
    return responses


@pytest.mark.parametrize("milliseconds", [20, pytest.param(500, marks=pytest.mark.long)])
def test_excess_slow_reads_are_rejected_and_writes_still_work(
    setup: FaultSetup, journal: Journal, milliseconds: int
):
    oms = setup.oms(f"slow_reads:{milliseconds}", READER_THREADS="1")
    with run_services(oms):
        with run_load(journal, [oms.port], "writes", connections=2):
            responses = get_all(oms, "/api/v1/portfolios", 80)
            wait_for_more(journal, 10)
        assert len(responses) == 80
        assert max(seconds for _, seconds in responses) < PROMISED_SECONDS
        refused = [headers for (status, headers, _), _ in responses if status == 503]
        assert refused, "more than 64 wait for one reader"
        assert all("retry-after" in headers for headers in refused)
        assert {status for (status, _, _), _ in responses} == {200, 503}
        resolve_open_requests(journal, oms.port)
        assert journal.slowest < PROMISED_SECONDS
        setup.assert_books_consistent(journal)


def test_full_queue_rejects_with_a_definite_answer_and_retry_after(setup: FaultSetup, journal: Journal):
    oms = setup.oms("slow_commit:100", WRITE_QUEUE_LIMIT="20")
    with run_services(oms):
        with run_load(journal, [oms.port], "crowd", connections=32):
            wait_for_refusals(journal, 50, PROMISED_SECONDS)
            wait_for_more(journal, 20)
        assert any(intent.refused for intent in journal.intents.values())
        resolve_open_requests(journal, oms.port)
        setup.assert_books_consistent(journal)
