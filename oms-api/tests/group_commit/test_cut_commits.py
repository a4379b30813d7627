"""A proxy cuts COMMIT: the number of the transaction settles its outcome, and the next batch goes on."""

import asyncio

import pytest
from sqlalchemy import make_url, text

from app.database import connect_engine
from app.database.commit_status import TRANSACTION_NUMBER, CommitStatus, load_commit_status
from app.errors import NotPlaced, OutcomeUnknown
from tests.faults.proxy import Network, NetworkFault
from tests.group_commit.note_writer import NoteHandler, read_notes, run_writer

NEVER_GIVEN = str(10**15)


@pytest.fixture
def url(new_database):
    return new_database("postgresql")


@pytest.fixture
def network(url):
    network = Network(make_url(url).port or 0)
    yield network
    network.close()


@pytest.fixture
def engine_through_network(url, network):
    """Provide an engine whose connections go through the network."""
    engine = connect_engine(network.address(url), timeout_seconds=1.0)
    yield engine
    engine.dispose()


@pytest.fixture
def direct_engine(url):
    engine = connect_engine(url)
    yield engine
    engine.dispose()


def write_two_batches(writer, handler):
    """Submit a batch that waits before its COMMIT, and another while it waits. Return both outcomes."""

    async def run():
        first = writer.submit("wait")
        await asyncio.to_thread(handler.entered.wait, 30)
        second = writer.submit("next")
        handler.gate.set()
        return await asyncio.gather(first, second, return_exceptions=True)

    handler.gate.clear()
    return asyncio.run(run())


@pytest.mark.parametrize(
    ("break_", "is_recorded"), [(NetworkFault.BEFORE_COMMIT, False), (NetworkFault.AFTER_COMMIT, True)]
)
def test_commit_cut_while_the_next_batch_waits_is_settled(
    engine_through_network, direct_engine, network, break_, is_recorded
):
    handler = NoteHandler()
    with run_writer(engine_through_network, handler) as writer:
        network.break_next(break_)
        first, second = write_two_batches(writer, handler)
    assert network.broke.is_set()
    assert second == "wrote next"
    assert read_notes(direct_engine) == (["wait", "next"] if is_recorded else ["next"])
    assert first == "wrote wait" if is_recorded else type(first) is NotPlaced


def test_commit_whose_transaction_has_not_ended_stays_unknown(
    engine_through_network, direct_engine, network, monkeypatch
):
    monkeypatch.setattr("app.group_commit.batch_writer.MAX_RECOVERY_SECONDS", 0.5)
    handler = NoteHandler()
    with run_writer(engine_through_network, handler) as writer:
        network.break_next(NetworkFault.COMMIT_VANISHES)  # the server keeps the transaction open
        first, second = write_two_batches(writer, handler)
    assert type(first) is OutcomeUnknown
    assert second == "wrote next"
    assert handler.checks == 0
    assert read_notes(direct_engine) == ["next"]


@pytest.mark.parametrize("is_given_again", [False, True])
def test_transaction_lost_by_a_fail_over_is_not_reported_as_recorded(
    engine_through_network, direct_engine, network, monkeypatch, is_given_again
):
    """The new server never gave the number of the lost transaction, or gave it to another one."""
    with direct_engine.begin() as connection:
        connection.execute(text("CREATE TABLE other (note TEXT)"))
        other = connection.execute(text(TRANSACTION_NUMBER)).scalar_one()
    number = other if is_given_again else NEVER_GIVEN
    monkeypatch.setattr("app.group_commit.batch_writer.take_transaction_number", lambda _: number)
    handler = NoteHandler()
    with run_writer(engine_through_network, handler) as writer:
        network.break_next(NetworkFault.BEFORE_COMMIT)
        first, second = write_two_batches(writer, handler)
    assert type(first) is NotPlaced
    assert second == "wrote next"
    assert handler.checks == int(is_given_again)


def test_status_of_a_transaction_follows_its_end(direct_engine):
    with direct_engine.connect() as connection, direct_engine.connect() as other:
        assert load_commit_status(other, None) is CommitStatus.UNKNOWN
        for end, status in (("commit", CommitStatus.COMMITTED), ("rollback", CommitStatus.ABORTED)):
            connection.execute(text(f"CREATE TABLE {end}ted (note TEXT)"))
            number = connection.execute(text(TRANSACTION_NUMBER)).scalar_one()
            assert load_commit_status(other, number) is CommitStatus.RUNNING
            getattr(connection, end)()
            other.rollback()
            assert load_commit_status(other, number) is status
            other.rollback()
