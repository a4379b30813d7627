"""The operator's command: bind, list and forget workspaces."""

import io

import pytest

from app import workspaces
from app.storage.connection import open_database
from app.storage.encryption import KeyRing, derive_keys
from app.storage.installations import InstallationStore, InstalledWorkspace
from tests import factories

KEY = "oms_" + "k" * 40


@pytest.fixture
def url(tmp_path):
    return f"sqlite:///{tmp_path / 'bot.db'}"


@pytest.fixture
def store(url, monkeypatch):
    """Provide the store of a running bot, which holds the lock of the file."""
    values = {
        "SLACK_SIGNING_SECRET": factories.SECRET,
        "OMS_API_URL": "http://127.0.0.1:9",
        "SLACK_CLIENT_ID": "1.2",
        "SLACK_CLIENT_SECRET": "client-secret",
        "SLACK_BOT_TOKEN": "",
        "BOT_DATABASE_URL": url,
    }
    for name, value in values.items():
        monkeypatch.setenv(name, value)
    database = open_database(url)
    yield InstallationStore(database, KeyRing(derive_keys(factories.SECRET)))
    database.close()


def run_command(*arguments, monkeypatch=None, typed=""):
    if monkeypatch:
        monkeypatch.setattr("sys.stdin", io.StringIO(typed))
    return workspaces.main(list(arguments))


def test_workspace_is_connected_beside_the_running_bot(store, monkeypatch, capsys):
    store.save(
        InstalledWorkspace(
            team="T2",
            enterprise="",
            name="Second\x1b[2J",
            bot_token="xoxb-2",
            oms_key="",
            scopes="",
            installed_at=0.0,
        )
    )
    assert run_command("list") == 0
    assert capsys.readouterr().out == "T2\tactive\tnot connected\t1970-01-01T00:00:00Z\tSecond[2J\n"
    assert run_command("bind", "T2", "--oms-key-stdin", monkeypatch=monkeypatch, typed=f"{KEY}\n") == 0
    assert store.find("T2").oms_key == KEY
    assert run_command("list") == 0
    written = capsys.readouterr().out
    assert "\tconnected\t" in written
    assert KEY not in written
    assert "xoxb" not in written


def test_failed_connection_of_a_workspace_is_reported(store, monkeypatch, capsys):
    assert run_command("bind", "T9", "--oms-key-stdin", monkeypatch=monkeypatch, typed=KEY) == 1
    assert "/slack/install" in capsys.readouterr().err
    assert run_command("bind", "T9", "--oms-key-stdin", monkeypatch=monkeypatch, typed="short") == 1
    assert "32 printable characters" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        run_command("bind", "T9")
    with pytest.raises(SystemExit):
        run_command("bind", "../x", "--oms-key-stdin")


def test_workspace_is_removed(store, capsys):
    assert run_command("list") == 0
    assert "No workspace" in capsys.readouterr().out
    store.save(InstalledWorkspace("T2", bot_token="xoxb-2"))
    assert run_command("forget", "T2") == 0
    assert store.find("T2") is None
    assert run_command("forget", "T2") == 1


def test_secrets_of_another_key_are_an_error_with_a_sentence(store, monkeypatch, capsys):
    store.save(InstalledWorkspace("T2", bot_token="xoxb-2"))
    monkeypatch.setenv("SLACK_SIGNING_SECRET", "another-signing-secret")
    assert run_command("list") == 1
    assert "cannot be decrypted" in capsys.readouterr().err


def test_unsafe_settings_are_refused(monkeypatch, capsys):
    monkeypatch.setenv("SLACK_SIGNING_SECRET", "short")
    assert run_command("list") == 1
    assert "SLACK_SIGNING_SECRET" in capsys.readouterr().err
