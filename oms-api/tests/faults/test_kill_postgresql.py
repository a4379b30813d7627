"""kill -9 of PostgreSQL with all its processes, under load."""

from random import Random

from tests.faults.conftest import FaultSetup
from tests.faults.journal import Journal
from tests.faults.load import repeat_requests, resolve_open_requests, run_load, wait_for_more
from tests.faults.process_control import OmsProcess, PostgresProcess, run_services, wait_until
from tests.faults.seeds import create_random, parametrize_seeds, sleep_at_random

READY_SECONDS = 60.0


def kill_amid_load(
    server: PostgresProcess, oms: OmsProcess, journal: Journal, random: Random, name: str
) -> None:
    with run_load(journal, [oms.port], name):
        wait_for_more(journal, random.randint(1, 150))
        sleep_at_random(random)
        server.kill()
        wait_until(lambda: oms.readiness() == 503, READY_SECONDS, "readiness tells that the database is away")
        server.start()
        assert oms.wait_ready() < READY_SECONDS
        wait_for_more(journal, 10)


@parametrize_seeds(short=2)
def test_killed_postgresql_loses_no_acknowledged_trade(
    postgres_setup: FaultSetup, journal: Journal, seed: int, crashes: int
):
    random, oms = create_random(seed, "kill PostgreSQL"), postgres_setup.oms()
    with run_services(oms):
        for number in range(crashes):
            kill_amid_load(postgres_setup.postgres, oms, journal, random, f"s{seed}-{number}")
            resolve_open_requests(journal, oms.port)
            repeat_requests(journal, oms.port, random)
        postgres_setup.assert_books_consistent(journal)


@parametrize_seeds()
def test_postgresql_and_the_service_killed_together_lose_nothing(
    postgres_setup: FaultSetup, journal: Journal, seed: int, crashes: int
):
    random, oms = create_random(seed, "kill both"), postgres_setup.oms()
    with run_services(oms):
        for number in range(crashes):
            with run_load(journal, [oms.port], f"s{seed}-{number}"):
                wait_for_more(journal, random.randint(1, 150))
                sleep_at_random(random)
                postgres_setup.postgres.kill()
                oms.kill()
                postgres_setup.postgres.start()
                oms.start()
                wait_for_more(journal, 10)
            resolve_open_requests(journal, oms.port)
        postgres_setup.assert_books_consistent(journal)
