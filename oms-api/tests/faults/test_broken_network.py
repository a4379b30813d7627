"""A connection that breaks during COMMIT: the answer is correct, or says that the outcome is unknown."""

from collections.abc import Iterator
from random import Random

import pytest

from tests.faults.conftest import FaultSetup
from tests.faults.journal import NOT_PLACED, UNKNOWN, Journal
from tests.faults.load import (
    Connection,
    Sender,
    build_trade,
    repeat_requests,
    resolve_open_requests,
    run_load,
    wait_for_more,
    wait_for_refusals,
)
from tests.faults.process_control import OmsProcess, resume_processes, run_services, wait_until
from tests.faults.proxy import Network, NetworkFault
from tests.faults.seeds import create_random, parametrize_seeds

SETTINGS = {
    "DATABASE_TIMEOUT_SECONDS": "1",
    "DUTIES": "worker",
    "BROKER_SESSIONS": "off",
    "STRATEGY_HOST": "off",  # the next COMMIT is of a request
}


@pytest.fixture
def network(postgres_setup: FaultSetup) -> Iterator[Network]:
    """Provide the network between the service and PostgreSQL."""
    network = Network(postgres_setup.postgres.port)
    yield network
    network.close()


@pytest.fixture
def oms(postgres_setup: FaultSetup, network: Network) -> Iterator[OmsProcess]:
    """Provide a service that reaches PostgreSQL through `network` and waits one second for an answer."""
    oms = postgres_setup.oms(database_url=network.address(postgres_setup.database_url), **SETTINGS)
    with run_services(oms):
        yield oms


def break_during_trade(
    break_: NetworkFault, oms: OmsProcess, network: Network, journal: Journal
) -> tuple[int, str]:
    """Trade once, then break the network during a second trade; return its status and the problem's type."""
    sender = Sender(journal, oms.port)
    with sender.connection:
        sender.send(
            journal.record_intent("before-fault", "/api/v1/trade", build_trade(Random(0), ["Growth"]))
        )
        network.break_next(break_)
        response = sender.send(
            journal.record_intent("during-fault", "/api/v1/trade", build_trade(Random(1), ["Growth"]))
        )
    assert network.broke.is_set(), "COMMIT was never seen"
    assert response is not None, "the service hung up"
    return response[0], response[2].get("type", "")


@pytest.mark.parametrize("break_", [NetworkFault.AFTER_COMMIT, NetworkFault.ANSWER_VANISHES])
def test_commit_with_a_lost_reply_is_reported_as_recorded(
    postgres_setup: FaultSetup, oms: OmsProcess, network: Network, journal: Journal, break_: NetworkFault
):
    assert break_during_trade(break_, oms, network, journal)[0] == 201
    repeat_requests(journal, oms.port, Random(0))
    postgres_setup.assert_books_consistent(journal)


def test_commit_that_never_arrived_is_reported_as_not_recorded(
    postgres_setup: FaultSetup, oms: OmsProcess, network: Network, journal: Journal
):
    status, kind = break_during_trade(NetworkFault.BEFORE_COMMIT, oms, network, journal)
    assert (status, kind[-len(NOT_PLACED) :]) == (503, NOT_PLACED)
    postgres_setup.assert_books_consistent(journal)


def test_undecidable_commit_is_reported_as_unknown_and_resolves_by_its_key(
    postgres_setup: FaultSetup, oms: OmsProcess, network: Network, journal: Journal
):
    status, kind = break_during_trade(NetworkFault.COMMIT_VANISHES, oms, network, journal)
    assert (status, kind[-len(UNKNOWN) :]) == (503, UNKNOWN)
    with Connection(oms.port) as connection:
        assert connection.call("GET", "/api/v1/trades?idempotency_key=during-fault")[2] == []
    network.repair()
    resolve_open_requests(journal, oms.port)
    postgres_setup.assert_books_consistent(journal)


@parametrize_seeds(rounds=50)
def test_interrupted_commits_under_load_are_reported_correctly(
    postgres_setup: FaultSetup, oms: OmsProcess, network: Network, journal: Journal, seed: int, crashes: int
):
    random = create_random(seed, "cut commits")
    with run_load(journal, [oms.port], f"s{seed}"):
        for _ in range(crashes * 4):
            wait_for_more(journal, random.randint(1, 60))
            network.break_next(random.choice([NetworkFault.BEFORE_COMMIT, NetworkFault.AFTER_COMMIT]))
            wait_until(network.broke.is_set, 60, "COMMIT is cut")
        wait_for_more(journal, 10)
    resolve_open_requests(journal, oms.port)
    postgres_setup.assert_books_consistent(journal)


@pytest.mark.long  # with the patience as delivered, it takes half a minute
def test_server_frozen_at_commit_is_answered_within_the_timeout(
    postgres_setup: FaultSetup, network: Network, journal: Journal
):
    oms = postgres_setup.oms(database_url=network.address(postgres_setup.database_url))
    with run_services(oms):
        with run_load(journal, [oms.port], "frozen at commit", connections=24):
            wait_for_more(journal, 50)
            network.break_next(NetworkFault.COMMIT_VANISHES)
            wait_until(network.broke.is_set, 60, "COMMIT vanishes")
            pids = postgres_setup.postgres.freeze()
            try:
                wait_for_refusals(journal, 80, 60)
            finally:
                resume_processes(pids)
                network.repair()
            wait_for_more(journal, 10)
        resolve_open_requests(journal, oms.port)
        postgres_setup.assert_books_consistent(journal)
