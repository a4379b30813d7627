"""kill -9 of the service under load: acknowledged trades exist once, others are resolved by key."""

from random import Random

import pytest

from tests.faults.conftest import FaultSetup
from tests.faults.journal import Journal
from tests.faults.load import repeat_requests, resolve_open_requests, run_load, wait_for_more
from tests.faults.process_control import OmsProcess, run_services
from tests.faults.seeds import create_random, parametrize_seeds, sleep_at_random


def kill_amid_load(
    oms: OmsProcess, other_processes: list[OmsProcess], journal: Journal, random: Random, name: str
) -> None:
    with run_load(journal, [oms.port, *(other.port for other in other_processes)], name):
        wait_for_more(journal, random.randint(1, 150))
        sleep_at_random(random)
        oms.kill()
        oms.start()
        wait_for_more(journal, 10)


@parametrize_seeds(short=2)
def test_killed_service_loses_and_duplicates_nothing(
    setup: FaultSetup, journal: Journal, seed: int, crashes: int
):
    random, oms = create_random(seed, "kill the service"), setup.oms()
    with run_services(oms):
        for number in range(crashes):
            kill_amid_load(oms, [], journal, random, f"s{seed}-{number}")
            resolve_open_requests(journal, oms.port)
            repeat_requests(journal, oms.port, random)
        setup.assert_books_consistent(journal)


@parametrize_seeds()
def test_two_services_on_one_database_survive_a_kill_of_either(
    setup: FaultSetup, journal: Journal, seed: int, crashes: int
):
    random, processes = create_random(seed, "kill one of two"), [setup.oms(), setup.oms()]
    with run_services(*processes):
        for number in range(crashes):
            random.shuffle(processes)
            kill_amid_load(processes[0], processes[1:], journal, random, f"s{seed}-{number}")
            resolve_open_requests(journal, processes[1].port)
        setup.assert_books_consistent(journal)


@pytest.mark.parametrize(
    "moment",
    [
        pytest.param("exit_before_writing", marks=pytest.mark.long),
        "exit_during_writing",
        pytest.param("exit_before_commit", marks=pytest.mark.long),
        "exit_after_commit",
    ],
)
def test_kill_around_commit_leaves_no_partial_write(setup: FaultSetup, journal: Journal, moment: str):
    oms = setup.oms(f"{moment}:20")
    with run_services(oms):
        with run_load(journal, [oms.port], moment):
            oms.died(20)
            oms.fault = ""
            oms.start()
            wait_for_more(journal, 10)
        resolve_open_requests(journal, oms.port)
        setup.assert_books_consistent(journal)
