"""The shared database on PostgreSQL: the stores work as on SQLite, and a silent server is skipped."""

import threading
from dataclasses import replace

import pytest

from app.delivery.confirmation_store import ConfirmationStore
from app.delivery.event_store import EventClaim, EventStore
from app.delivery.pending_orders import PendingOrderStore, PendingState
from app.delivery.posted_messages import MessageKind, PostedMessage, PostedMessageClaim, PostedMessageStore
from app.storage import postgres
from app.storage.bot_registry import BotRegistry
from app.storage.claimed_ids import ClaimedIds
from app.storage.connection import open_database
from app.storage.database import DatabaseError
from app.storage.encryption import KeyRing
from app.storage.installations import InstallationStore, InstalledWorkspace
from app.storage.oauth_states import OAuthStates
from app.storage.storage import Storage
from app.storage.webhook_secrets import WebhookSecrets
from tests.delivery.pending_confirmations import CONFIRMATION
from tests.services.orders.pending_orders import PENDING_ORDER
from tests.services.shared_storage import require_claim
from tests.storage.conftest import execute


@pytest.fixture
def storages(postgres_url):
    """Provide the storages of two bots, each with separate connections."""
    databases = [open_database(postgres_url), open_database(postgres_url.replace("://", "+psycopg2://"))]
    yield [Storage(database, BotRegistry(database)) for database in databases]
    for database in databases:
        database.close()


def test_every_store_is_shared_by_two_bots_and_passes_on_claims_of_a_dead_bot(storages):
    first, second = storages
    confirmations = [ConfirmationStore(storage) for storage in storages]
    confirmations[0].add(CONFIRMATION)
    confirmations[1].add(replace(CONFIRMATION, submitted_at=1001.0))
    claim = require_claim(confirmations[0].claim(CONFIRMATION.key))
    assert claim.begin()
    claim.retract()
    pending = [PendingOrderStore(storage) for storage in storages]
    pending[0].add(PENDING_ORDER)
    assert pending[0].set_state(PENDING_ORDER.key, PendingState.POSTING)
    messages = [PostedMessageStore(storage, lambda: "T1") for storage in storages]
    messages[0].save(
        PostedMessage(
            subject_id="O1",
            kind=MessageKind.ORDER,
            channel="C1",
            ts="1.0",
            team="T1",
            user="U1",
            sequence=3,
            legs={"O2": "Held"},
        )
    )
    assert (messages[0].claim("O1"), messages[1].claim("O1")) == (
        PostedMessageClaim.NEW,
        PostedMessageClaim.TAKEN,
    )
    events = [EventStore(storage, lambda: "T1") for storage in storages]
    assert events[0].claim("e1", "2026-11-29T10:00:00Z") is EventClaim.NEW
    assert events[1].claim("e1", "2026-11-29T10:00:00Z") is EventClaim.TAKEN
    assert confirmations[1].list_unresolved() == []
    assert pending[1].list_unresolved() == []

    first.database.execute("UPDATE bots SET seen_at = seen_at - 60 WHERE id = ?", first.bots.id)
    (unresolved,) = confirmations[1].list_unresolved("T1")
    assert confirmations[1].list_unresolved("T2") == []
    assert require_claim(confirmations[1].claim_unresolved(unresolved.pending)).begin()
    assert not claim.begin()
    (adopted,) = pending[1].list_unresolved("T1")
    assert pending[1].claim(adopted)
    assert messages[1].claim("O1") is PostedMessageClaim.INTERRUPTED
    messages[1].record_check(messages[1].list_open(5)[0])
    assert events[1].claim("e1", "2026-11-29T10:00:00Z") is EventClaim.NEW
    events[1].add("e1", "2026-11-29T10:00:00Z")
    assert events[0].find_cursor() == "2026-11-29T10:00:00Z"
    assert confirmations[1].remove_submitted_before(1.0) == 0
    confirmations[0].release(CONFIRMATION.key, is_unknown=True)
    second.bots.remove_dead()


def test_every_other_store_works_on_postgresql(storages):
    ids = [ClaimedIds(storage) for storage in storages]
    assert [claimed_ids.claim("100%?") for claimed_ids in ids] == [True, False]
    assert ids[1].contains("100%?")
    ids[0].remove_old()
    states = [OAuthStates(storage) for storage in storages]
    assert states[1].consume(states[0].issue())
    keys = KeyRing({"k1": b"1" * 32})
    store = InstallationStore(storages[0].database, keys)
    store.save(InstalledWorkspace("T1", bot_token="xoxb-1", installed_at=1000.0))
    assert store.save_oms_key("T1", "k" * 40)
    installed_workspace = InstallationStore(storages[1].database, keys).find("T1")
    assert installed_workspace is not None
    assert installed_workspace.oms_key == "k" * 40
    assert store.uninstall("T1", 1000.0)
    WebhookSecrets(storages[0], keys).save("wh_1", "whsec_x")
    assert WebhookSecrets(storages[1], keys).find("wh_1") == "whsec_x"


def test_one_of_many_concurrent_claims_succeeds(storages):
    confirmations = [ConfirmationStore(storage) for storage in storages]
    confirmations[0].add(CONFIRMATION)
    won, start = [], threading.Barrier(16)

    def claim(number):
        start.wait()
        won.append(confirmations[number % 2].claim(CONFIRMATION.key))

    threads = [threading.Thread(target=claim, args=(number,)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len([each for each in won if each is not None]) == 1


def test_connections_that_the_server_closed_are_replaced(storages, server_url):
    database = storages[0].database
    assert database.execute("SELECT ?", "100%") == [("100%",)]
    name = database.execute("SELECT current_database()")[0][0]
    sessions = f"FROM pg_stat_activity WHERE datname = '{name}'"
    execute(server_url, f"SELECT pg_terminate_backend(pid, 60000) {sessions}")  # waits until they have ended
    assert database.execute("SELECT 1") == [(1,)]


def test_statement_is_not_repeated_if_its_connection_was_closed_after_it_was_executed(storages, monkeypatch):
    monkeypatch.setattr(postgres, "FAILURE_PAUSE_SECONDS", 0.0)
    database = storages[0].database
    database.execute("CREATE SEQUENCE executions")  # the next statement reuses the connection
    with pytest.raises(DatabaseError):
        database.execute(
            "SELECT nextval('executions'); COMMIT; SELECT pg_terminate_backend(pg_backend_pid())"
        )
    assert database.execute("SELECT nextval('executions')") == [(2,)]


def test_unresponsive_database_is_skipped_after_one_attempt(storages, monkeypatch):
    database = storages[0].database
    assert database.execute("SELECT 1") == [(1,)]  # the next statement reuses the connection
    attempts = []
    run_statement = postgres._run_statement

    def count_statement(*arguments):
        attempts.append(arguments)
        return run_statement(*arguments)

    monkeypatch.setattr(postgres, "_run_statement", count_statement)
    monkeypatch.setattr(postgres, "RESPONSE_TIMEOUT_SECONDS", 0.2)
    with pytest.raises(DatabaseError):
        database.execute("SELECT pg_sleep(200)")
    assert len(attempts) == 1
    with pytest.raises(DatabaseError, match="a moment ago"):
        database.execute("SELECT 1")
    monkeypatch.setattr(postgres, "FAILURE_PAUSE_SECONDS", 0.0)
    monkeypatch.setattr(postgres, "RESPONSE_TIMEOUT_SECONDS", 60.0)
    assert database.execute("SELECT 1") == [(1,)]


def test_address_without_a_server_is_an_error_without_the_password():
    with pytest.raises(DatabaseError) as error:
        open_database("postgresql://bot:canary@127.0.0.1:9/bot")
    assert "canary" not in str(error.value)
