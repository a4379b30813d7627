"""The store of confirmations: its states, even after a crash, and errors of its file."""

import stat
from dataclasses import replace

import pytest

from app.config import DEFAULT_DATABASE_URL, ConfigError
from app.delivery.confirmation_store import ConfirmationStore
from app.server import build
from app.storage import sqlite
from app.storage.connection import open_database
from app.storage.database import DatabaseError
from app.storage.storage import create_storage
from tests import factories
from tests.delivery.pending_confirmations import CONFIRMATION


@pytest.fixture
def open_store(tmp_path):
    """Open the same file repeatedly. Each time, the previous process has ended."""
    opened: list[ConfirmationStore] = []

    def reopen():
        for store in opened:
            store.storage.database.close()
        opened.append(ConfirmationStore(create_storage(open_database(f"sqlite:///{tmp_path / 'bot.db'}"))))
        return opened[-1]

    yield reopen
    for store in opened:
        store.close()


def list_unresolved(store):
    return [(each.pending.key, each.is_interrupted) for each in store.list_unresolved()]


def test_running_submission_is_unresolved_only_after_a_crash(open_store):
    store = open_store()
    store.add(CONFIRMATION)
    assert store.list_unresolved() == []
    store = open_store()
    assert [each.pending for each in store.list_unresolved()] == [CONFIRMATION]
    assert list_unresolved(store) == [(CONFIRMATION.key, False)]


def test_queued_confirmation_is_sent_without_a_note_and_an_interrupted_one_with_a_note(open_store):
    store = open_store()
    store.add(CONFIRMATION)
    assert store.claim(CONFIRMATION.key)
    assert store.list_unresolved() == []
    store = open_store()
    assert list_unresolved(store) == [(CONFIRMATION.key, False)]
    claim = store.claim_unresolved(CONFIRMATION)
    claim.begin()
    store = open_store()
    assert list_unresolved(store) == [(CONFIRMATION.key, True)]
    store.claim_unresolved(CONFIRMATION).begin()
    assert list_unresolved(open_store()) == [], "one repeat at most, however often the bot dies"


def interrupt_call(store):
    """Claim the confirmation and begin the call to Slack, during which the bot is killed."""
    store.add(CONFIRMATION)
    store.claim(CONFIRMATION.key).begin()


def test_repeat_that_waited_when_its_bot_was_killed_is_queued_again(open_store):
    interrupt_call(open_store())
    for _ in range(2):  # each of these bots is killed before its call
        store = open_store()
        assert list_unresolved(store) == [(CONFIRMATION.key, True)]
        assert store.claim_unresolved(CONFIRMATION)
        assert list_unresolved(store) == [], "one bot sends it"
    assert list_unresolved(open_store()) == [(CONFIRMATION.key, True)]


def test_repeat_that_slack_refused_is_queued_again(open_store):
    interrupt_call(open_store())
    store = open_store()
    list_unresolved(store)
    claim = store.claim_unresolved(CONFIRMATION)
    for _ in range(2):
        assert claim.begin()
        claim.retract()
    assert list_unresolved(open_store()) == [(CONFIRMATION.key, True)]


def test_confirmation_that_slack_refused_is_sent_again_without_a_note(open_store):
    store = open_store()
    store.add(CONFIRMATION)
    claim = store.claim(CONFIRMATION.key)
    claim.begin()
    claim.retract()
    assert list_unresolved(open_store()) == [(CONFIRMATION.key, False)]


def test_delivered_confirmation_is_removed(open_store):
    store = open_store()
    store.add(CONFIRMATION)
    claim = store.claim(CONFIRMATION.key)
    claim.begin()
    claim.finish()
    assert list_unresolved(open_store()) == []


def test_one_of_two_bots_claims_a_confirmation(open_store):
    store = open_store()
    store.add(CONFIRMATION)
    assert store.claim(CONFIRMATION.key)
    assert store.claim(CONFIRMATION.key) is None
    assert store.claim("T1:V9:0") is None


def test_only_confirmations_of_earlier_processes_are_pending(open_store):
    store = open_store()
    store.add(CONFIRMATION)
    assert store.claim_pending(CONFIRMATION.key) is None, (
        "this submission was replayed: the earlier one has confirmed"
    )
    store.release(CONFIRMATION.key, is_unknown=True)
    store.add(replace(CONFIRMATION, submitted_at=1001.0))
    assert store.claim_pending(CONFIRMATION.key)


@pytest.mark.parametrize(("is_unknown", "unresolved"), [(False, []), (True, [(CONFIRMATION.key, False)])])
def test_confirmed_trade_is_released(open_store, is_unknown, unresolved):
    store = open_store()
    store.add(CONFIRMATION)
    store.release(CONFIRMATION.key, is_unknown=is_unknown)
    assert list_unresolved(store) == unresolved


def test_refused_second_submission_keeps_the_confirmation_of_the_first(open_store):
    store = open_store()
    store.add(CONFIRMATION)
    store.release(CONFIRMATION.key, is_unknown=True)
    store.add(CONFIRMATION)
    store.release(CONFIRMATION.key, is_unknown=False)
    assert list_unresolved(store) == [(CONFIRMATION.key, False)]


def test_resubmitted_form_is_left_to_the_new_submission(open_store):
    store = open_store()
    store.add(CONFIRMATION)
    store.release(CONFIRMATION.key, is_unknown=True)
    store.add(replace(CONFIRMATION, submitted_at=1001.0))
    store.release(CONFIRMATION.key, is_unknown=True)
    assert store.claim_unresolved(CONFIRMATION) is None
    assert store.claim_unresolved(replace(CONFIRMATION, submitted_at=1001.0))


def test_submission_does_not_disturb_a_confirmation_in_delivery(open_store):
    store = open_store()
    store.add(CONFIRMATION)
    claim = store.claim(CONFIRMATION.key)
    store.add(replace(CONFIRMATION, submitted_at=1001.0))
    store.release(CONFIRMATION.key, is_unknown=False)
    claim.begin()
    assert list_unresolved(open_store()) == [(CONFIRMATION.key, True)]


def test_old_confirmations_are_removed(open_store):
    store = open_store()
    store.add(CONFIRMATION)
    store.release(CONFIRMATION.key, is_unknown=True)
    assert store.remove_submitted_before(1000.0) == 0
    assert store.remove_submitted_before(1000.5) == 1
    assert list_unresolved(store) == []


def test_file_is_private_and_locked_by_one_bot(open_store, tmp_path, monkeypatch):
    open_store()
    file = tmp_path / "bot.db"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    monkeypatch.setattr(sqlite, "LOCK_TIMEOUT_SECONDS", 0.05)
    with pytest.raises(DatabaseError, match="locked"):
        open_database(f"sqlite:///{file}")


def test_failing_file_is_logged_and_delays_nothing(caplog):
    store = ConfirmationStore()
    store.close()
    store.add(CONFIRMATION)
    store.release(CONFIRMATION.key, is_unknown=True)
    claim = store.claim(CONFIRMATION.key)
    assert claim is not None
    assert claim.begin(), "the trade is confirmed, although nothing is stored"
    claim.finish()
    assert store.list_unresolved() == []
    assert store.remove_submitted_before(1.0) == 0
    assert {record.message for record in caplog.records} == {"Database of the bot failed"}


def test_configured_file_that_cannot_be_opened_stops_the_start(tmp_path):
    (tmp_path / "bot.db").write_bytes(b"no database" * 100)
    with pytest.raises(ConfigError, match="BOT_DATABASE_URL"):
        build.open_storage(factories.build_settings(bot_database_url=f"sqlite:///{tmp_path / 'bot.db'}"))
    with pytest.raises(ConfigError, match="BOT_DATABASE_URL"):
        build.open_storage(
            factories.build_settings(bot_database_url=f"sqlite:///{tmp_path / 'none' / 'bot.db'}")
        )


def test_default_settings_file_is_optional(monkeypatch, caplog):
    def refuse(_url):
        raise DatabaseError("read-only")

    monkeypatch.setattr(build, "open_database", refuse)
    build.open_storage(factories.build_settings(bot_database_url=DEFAULT_DATABASE_URL)).close()
    assert "Pending confirmations are not kept over a restart" in caplog.text
