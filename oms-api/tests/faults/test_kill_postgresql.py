"""kill -9 of PostgreSQL with all its processes, under load."""

from random import Random

from tests.faults.conftest import Stage
from tests.faults.journal import Journal
from tests.faults.load import load, repeat, resolve, wait_for_more
from tests.faults.process_control import Oms, PostgresProcess, running, wait_until
from tests.faults.seeds import chance, pause, seeded

READY_SECONDS = 60.0


def kill_amid_load(server: PostgresProcess, oms: Oms, journal: Journal, random: Random, name: str) -> None:
    with load(journal, [oms.port], name):
        wait_for_more(journal, random.randint(1, 150))
        pause(random)
        server.kill()
        wait_until(lambda: oms.readiness() == 503, READY_SECONDS, "readiness tells that the database is away")
        server.start()
        assert oms.wait_ready() < READY_SECONDS
        wait_for_more(journal, 10)


@seeded(short=2)
def test_killed_postgresql_loses_no_acknowledged_trade(
    postgres_stage: Stage, journal: Journal, seed: int, crashes: int
):
    random, oms = chance(seed, "kill PostgreSQL"), postgres_stage.oms()
    with running(oms):
        for number in range(crashes):
            kill_amid_load(postgres_stage.postgres, oms, journal, random, f"s{seed}-{number}")
            resolve(journal, oms.port)
            repeat(journal, oms.port, random)
        postgres_stage.assert_books_consistent(journal)


@seeded()
def test_postgresql_and_the_service_killed_together_lose_nothing(
    postgres_stage: Stage, journal: Journal, seed: int, crashes: int
):
    random, oms = chance(seed, "kill both"), postgres_stage.oms()
    with running(oms):
        for number in range(crashes):
            with load(journal, [oms.port], f"s{seed}-{number}"):
                wait_for_more(journal, random.randint(1, 150))
                pause(random)
                postgres_stage.postgres.kill()
                oms.kill()
                postgres_stage.postgres.start()
                oms.start()
                wait_for_more(journal, 10)
            resolve(journal, oms.port)
        postgres_stage.assert_books_consistent(journal)
