"""The store of workspaces: encrypted, rotated, connected, uninstalled."""

import base64
from dataclasses import replace

import pytest

from app.storage.encryption import DecryptionFailed, KeyRing
from app.storage.installations import InstallationStatus, InstallationStore, InstalledWorkspace
from app.storage.oauth_states import OAuthStates
from app.storage.sqlite import SqliteDatabase
from app.storage.storage import create_storage

KEYS = {"k1": b"1" * 32}
KEY = "oms_" + "k" * 40
INSTALLED = InstalledWorkspace(
    team="T1",
    enterprise="E1",
    name="Desk",
    bot_token="xoxb-canary",
    oms_key="",
    scopes="chat:write",
    installed_at=1000.0,
)


@pytest.fixture
def database():
    database = SqliteDatabase()
    yield database
    database.close()


@pytest.fixture
def store(database):
    return InstallationStore(database, KeyRing(KEYS))


def test_tokens_and_keys_are_stored_encrypted(store, database):
    store.save(INSTALLED)
    assert store.save_oms_key("T1", KEY)
    rows = str(database.execute("SELECT * FROM installations"))
    assert "canary" not in rows
    assert KEY not in rows
    assert base64.b64encode(b"canary").decode() not in rows
    assert store.find("T1") == replace(INSTALLED, oms_key=KEY, version=2)
    assert "canary" not in repr(store.find("T1"))


def test_another_installation_of_a_workspace_keeps_its_oms_key(store):
    store.save(INSTALLED)
    store.save_oms_key("T1", KEY)
    before = store.find_version("T1")
    store.save(replace(INSTALLED, bot_token="xoxb-2", installed_at=2000.0))
    installation = store.find("T1")
    assert installation.bot_token == "xoxb-2"
    assert installation.oms_key == KEY
    assert installation.installed_at == 2000.0
    assert store.find_version("T1") != before


def test_workspace_of_the_environment_is_stored_again_with_a_new_key(store, database):
    store.save_environment(replace(INSTALLED, oms_key=KEY))
    renewed = InstallationStore(database, KeyRing({"k2": b"2" * 32}))
    with pytest.raises(DecryptionFailed):
        renewed.find("T1")
    renewed.save_environment(replace(INSTALLED, bot_token="xoxb-2", oms_key=KEY))
    installation = renewed.find("T1")
    assert installation is not None
    assert installation.bot_token == "xoxb-2"
    assert installation.oms_key == KEY


def test_uninstalled_workspace_keeps_no_secret(store, database):
    store.save(replace(INSTALLED, oms_key=KEY))
    assert store.uninstall("T1", 1000.0)
    installation = store.find("T1")
    assert installation.status == InstallationStatus.UNINSTALLED
    assert installation.bot_token == ""
    assert installation.oms_key == ""
    assert not installation.is_active
    assert store.list_active_teams() == []
    assert not store.uninstall("T1", 1001.0)
    assert not store.save_oms_key("T1", KEY)
    assert database.execute("SELECT bot_token, oms_key FROM installations") == [("", "")]


def test_event_that_is_older_than_the_installation_changes_nothing(store):
    store.save(INSTALLED)
    assert not store.uninstall("T1", 999.0)
    assert store.find("T1").is_active


def test_values_of_earlier_keys_are_encrypted_again_with_the_first_key(store, database):
    store.save(replace(INSTALLED, oms_key=KEY))
    rotated = InstallationStore(database, KeyRing({"k2": b"2" * 32} | KEYS))
    assert rotated.encrypt_again() == 1
    assert rotated.encrypt_again() == 0
    installed_workspace = InstallationStore(database, KeyRing({"k2": b"2" * 32})).find("T1")
    assert installed_workspace is not None
    assert installed_workspace.oms_key == KEY
    with pytest.raises(DecryptionFailed):
        store.find("T1")


def test_ciphertext_of_another_workspace_does_not_decrypt(store, database):
    store.save(INSTALLED)
    store.save(replace(INSTALLED, team="T2", bot_token="xoxb-2"))
    database.execute(
        "UPDATE installations SET bot_token = (SELECT bot_token FROM installations WHERE team = 'T1') "
        "WHERE team = 'T2'"
    )
    with pytest.raises(DecryptionFailed):
        store.find("T2")


def test_deleted_workspace_is_gone(store):
    store.save(INSTALLED)
    assert store.delete("T1")
    assert not store.delete("T1")
    assert store.find("T1") is store.find_version("T1") is None


def test_state_is_valid_once_for_ten_minutes_at_every_bot(database):
    first, second = OAuthStates(create_storage(database)), OAuthStates(create_storage(database))
    state = first.issue()
    assert state not in str(database.execute("SELECT * FROM oauth_states"))
    assert second.consume(state)
    assert not first.consume(state)
    late = first.issue()
    database.execute("UPDATE oauth_states SET expires_at = expires_at - 601")
    assert not second.consume(late)
    assert not first.consume("forged")
