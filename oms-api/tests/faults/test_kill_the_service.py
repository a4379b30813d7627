"""kill -9 of the service under load: acknowledged trades exist once, others are resolved by key."""

from random import Random

import pytest

from tests.faults.conftest import Stage
from tests.faults.journal import Journal
from tests.faults.load import load, repeat, resolve, wait_for_more
from tests.faults.process_control import Oms, running
from tests.faults.seeds import chance, pause, seeded


def kill_amid_load(oms: Oms, others: list[Oms], journal: Journal, random: Random, name: str) -> None:
    with load(journal, [oms.port, *(other.port for other in others)], name):
        wait_for_more(journal, random.randint(1, 150))
        pause(random)
        oms.kill()
        oms.start()
        wait_for_more(journal, 10)


@seeded(short=2)
def test_killed_service_loses_and_duplicates_nothing(stage: Stage, journal: Journal, seed: int, crashes: int):
    random, oms = chance(seed, "kill the service"), stage.oms()
    with running(oms):
        for number in range(crashes):
            kill_amid_load(oms, [], journal, random, f"s{seed}-{number}")
            resolve(journal, oms.port)
            repeat(journal, oms.port, random)
        stage.assert_books_consistent(journal)


@seeded()
def test_two_services_on_one_database_survive_a_kill_of_either(
    stage: Stage, journal: Journal, seed: int, crashes: int
):
    random, pair = chance(seed, "kill one of two"), [stage.oms(), stage.oms()]
    with running(*pair):
        for number in range(crashes):
            random.shuffle(pair)
            kill_amid_load(pair[0], pair[1:], journal, random, f"s{seed}-{number}")
            resolve(journal, pair[1].port)
        stage.assert_books_consistent(journal)


@pytest.mark.parametrize(
    "moment",
    [
        pytest.param("exit_before_writing", marks=pytest.mark.long),
        "exit_during_writing",
        pytest.param("exit_before_commit", marks=pytest.mark.long),
        "exit_after_commit",
    ],
)
def test_kill_around_commit_leaves_no_partial_write(stage: Stage, journal: Journal, moment: str):
    oms = stage.oms(f"{moment}:20")
    with running(oms):
        with load(journal, [oms.port], moment):
            oms.died(20)
            oms.fault = ""
            oms.start()
            wait_for_more(journal, 10)
        resolve(journal, oms.port)
        stage.assert_books_consistent(journal)
