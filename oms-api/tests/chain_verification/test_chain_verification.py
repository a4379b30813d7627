"""The job that verifies hash chains finds forged rows, and stores its progress."""

from contextlib import contextmanager
from datetime import timedelta

import pytest
from sqlalchemy import text
from typing_extensions import override

from app.chain_verification.service import VERIFY_CHAINS, ChainsBroken, ChainVerifier
from app.clock import utc_now
from app.database import connect_engine
from app.jobs.service import Job, JobRunner
from tests.factories import BOOTSTRAP_KEY
from tests.support.event_schemas import VALIDATORS
from tests.support.jobs import EndlessLease
from tests.support.service import ApiClient

pytestmark = pytest.mark.any_database

_CHECKPOINTS = (
    "SELECT kind, portfolio_id, verified_sequence, repeated_sequence, failure FROM chain_verifications"
)


@pytest.fixture
def api(serve):
    """Provide the first tenant of a database of the test's own, with trades, cash and an audit log."""
    with serve() as service:
        api = ApiClient(service, 1, BOOTSTRAP_KEY)
        for name in ("Growth", "Income", "Macro"):
            assert api.post("/portfolios", {"name": name, "opening_cash": "1000"}).status_code == 201
        for quantity in ("1", "2", "3"):
            api.buy(quantity, "10")
        deposit = {"kind": "deposit", "amount": "5", "currency": "USD", "reason": "New capital"}
        assert api.post("/portfolios/Growth/cash", deposit).status_code == 201
        yield api


@contextmanager
def scoped_engine(api):
    engine = connect_engine(api.service.database_url, readers=1, tenant_scoped=True)
    try:
        yield engine
    finally:
        engine.dispose()


def run_verification(api, chunk=2):
    """Run the job; the error it ends with is raised."""
    with scoped_engine(api) as engine:
        ChainVerifier(engine, utc_now, chunk).verify(EndlessLease())


def forge_row(api, statement):
    """Change a row as the owner of the database can."""
    engine = api.service.engine
    with engine.connect().execution_options(writes=True) as connection, connection.begin():
        if connection.dialect.name == "sqlite":
            names = connection.execute(
                text("SELECT name FROM sqlite_master WHERE type = 'trigger'")
            ).scalars()
            for name in names.all():
                connection.execute(text(f"DROP TRIGGER {name}"))
        else:
            connection.execute(text("SET LOCAL session_replication_role = replica"))
        assert connection.execute(text(statement)).rowcount == 1


def read_checkpoints(api):
    with api.service.open_connection() as connection:
        return {row.kind: tuple(row)[2:] for row in connection.execute(text(_CHECKPOINTS))}


def list_broken(api):
    events = api.get("/events", type="chain.broken").json()
    for event in events:
        VALIDATORS["chain.broken"].validate(event["data"])
    return [(event["data"]["chain"], event["data"]["sequence"]) for event in reversed(events)]


def test_intact_chains_are_verified_and_only_new_rows_follow(api):
    run_verification(api)
    checkpoints = read_checkpoints(api)
    entries = checkpoints["audit"][0]  # of the portfolios and the deposit
    assert entries >= 3
    assert checkpoints == {
        "audit": (entries, 0, None),  # nothing was verified before that could be read again
        "ledger": (3, 0, None),
        "cash": (1, 0, None),
    }
    api.buy("4", "10")
    run_verification(api)
    assert read_checkpoints(api)["ledger"] == (4, 3, None)
    run_verification(api)
    assert read_checkpoints(api)["ledger"] == (4, 4, None)
    assert list_broken(api) == []


FORGERIES = [
    ("UPDATE trades SET note = 'x' WHERE sequence = 2", "ledger", 2, "hash is"),
    ("DELETE FROM trades WHERE sequence = 2", "ledger", 2, "row 2 is missing"),
    ("DELETE FROM trades WHERE sequence = 3", "ledger", 3, "row 3 is missing"),
    ("UPDATE portfolios SET last_hash = 'f' WHERE name = 'Growth'", "ledger", 3, "but f was stored"),
    ("UPDATE cash_movements SET reason = 'x'", "cash", 1, "hash is"),
    ("UPDATE audit_log SET actor = 'nobody' WHERE sequence = 2", "audit", 2, "hash is"),
]
SHORTER = [  # only an earlier verification shows that the end is missing
    (
        "UPDATE portfolios SET last_sequence = 2, total_trades = 2, total_buys = 2 WHERE name = 'Growth'",
        *("ledger", 3, "ends at 2"),
    ),
    ("DELETE FROM audit_heads", "audit", 1, "ends at 0"),
]


def assert_found_once(api, statement, chain, sequence, reason):
    """Check that a forged row is found in each run, and published once."""
    forge_row(api, statement)
    for _ in range(2):
        with pytest.raises(ChainsBroken, match=r"1 of 3 hash chains are broken. Run `python -m app\.verify`"):
            run_verification(api)
        checkpoints = read_checkpoints(api)
        assert reason in checkpoints.pop(chain)[2]
        assert [failure for *_, failure in checkpoints.values()] == [None, None]
    assert list_broken(api) == [(chain, sequence)]


@pytest.mark.parametrize(("statement", "chain", "sequence", "reason"), FORGERIES[:2])
def test_row_that_is_forged_before_its_first_verification_is_found(api, statement, chain, sequence, reason):
    assert_found_once(api, statement, chain, sequence, reason)


@pytest.mark.parametrize(("statement", "chain", "sequence", "reason"), [*FORGERIES, *SHORTER])
def test_row_that_is_forged_after_its_verification_is_found(api, statement, chain, sequence, reason):
    run_verification(api)
    assert_found_once(api, statement, chain, sequence, reason)


def test_repaired_chain_is_intact_again(api):
    run_verification(api)
    forge_row(api, "UPDATE trades SET note = 'x' WHERE sequence = 2")
    with pytest.raises(ChainsBroken):
        run_verification(api)
    forge_row(api, "UPDATE trades SET note = NULL WHERE sequence = 2")
    run_verification(api)
    assert read_checkpoints(api)["ledger"][2] is None


class KilledAfterTwoParts(EndlessLease):
    """A lease whose process ends when it is extended for the third time."""

    renewals = 0

    @override
    def renew_if_old(self):
        self.renewals += 1
        if self.renewals > 2:
            raise KeyboardInterrupt


def test_run_after_a_killed_one_continues_where_it_ended(api):
    with scoped_engine(api) as engine, pytest.raises(KeyboardInterrupt):
        ChainVerifier(engine, utc_now, chunk=1).verify(KilledAfterTwoParts())
    assert read_checkpoints(api)["audit"][0] == 3  # the third part was stored, then the process ended
    run_verification(api)
    assert read_checkpoints(api)["ledger"] == (3, 0, None)


def run_job(api):
    """Run the job as the service does, and return health and metrics after it."""
    with scoped_engine(api) as engine:
        job = Job(VERIFY_CHAINS, timedelta(hours=24), ChainVerifier(engine, utc_now).verify)
        runner = JobRunner(engine, [job], utc_now)
        try:
            assert runner.run_due() == [VERIFY_CHAINS]
        finally:
            runner.close()


def read_component(api):
    chains = api.get("/health/detailed").json()["components"]["chains"]
    metrics = api.service.client.get("/metrics", headers={"X-API-Key": BOOTSTRAP_KEY}).text
    return chains, dict(line.split(" ") for line in metrics.splitlines() if line.startswith("oms_chains_"))


def test_health_and_metrics_show_the_last_verification_and_broken_chains(api):
    component, metrics = read_component(api)
    assert (component["status"], component["last_error"]) == (
        "degraded",
        "The hash chains were never verified.",
    )
    assert float(metrics["oms_chains_verified_timestamp_seconds"]) == 0
    run_job(api)
    component, metrics = read_component(api)
    assert (component["status"], component["last_error"]) == ("ok", None)
    assert 0 <= component["age_seconds"] < 600
    verified_at = metrics["oms_chains_verified_timestamp_seconds"]
    assert abs(float(verified_at) - utc_now().timestamp()) < 600
    assert float(metrics["oms_chains_broken"]) == 0
    forge_row(api, "UPDATE trades SET note = 'x' WHERE sequence = 2")
    assert api.post("/jobs/verify-chains:run").status_code == 202
    run_job(api)
    component, metrics = read_component(api)
    assert component["status"] == "degraded"
    assert component["last_error"] == "Hash chains that are broken: 1. Run `python -m app.verify`."
    assert metrics["oms_chains_verified_timestamp_seconds"] == verified_at
    assert float(metrics["oms_chains_broken"]) == 1
    jobs = {job["name"]: job for job in api.get("/jobs").json()["items"]}
    assert "1 of 3 hash chains are broken" in jobs[VERIFY_CHAINS]["last_run"]["error"]
