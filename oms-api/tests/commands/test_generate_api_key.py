"""`python generate_api_key.py`."""

import json
import subprocess
import sys
from datetime import datetime, timedelta
from pathlib import Path

import pytest

import generate_api_key as command
from app.audit.queries.entries import EntryFilter, list_entries
from app.clock import utc_now
from app.config import Settings
from app.identity.queries.credentials import find_key
from app.identity.rules.access import FIRST_TENANT, Scope, expand_scopes
from app.identity.rules.keys import is_valid_key, parse_key_id
from tests.factories import BOOTSTRAP_KEY

HOME = Path(command.__file__).parent


@pytest.fixture
def configured_database(database_url, monkeypatch):
    monkeypatch.setenv("OMS_API_KEY", BOOTSTRAP_KEY)
    monkeypatch.setenv("DATABASE_URL", database_url)


def test_command_without_arguments_prints_a_valid_bootstrap_key(capsys):
    keys = set()
    for _ in range(3):
        assert command.main([]) == command.DONE
        keys.add(capsys.readouterr().out.removesuffix("\n"))
    assert len(keys) == 3
    for key in keys:
        assert parse_key_id(key)
        assert Settings(_env_file=None, oms_api_key=key).oms_api_key == key


def test_program_needs_no_settings(tmp_path):
    completed = subprocess.run(
        [sys.executable, HOME / "generate_api_key.py"],
        env={"HOME": str(tmp_path)},
        capture_output=True,
        check=True,
    )
    assert parse_key_id(completed.stdout.decode().strip())
    assert not completed.stderr


def test_created_key_is_shown_once_and_stored_hashed(configured_database, engine, capsys):
    assert command.main(["--store", "desk-bot", "--scopes", "trade read"]) == command.DONE
    out = capsys.readouterr().out
    key = next((word for word in out.split() if parse_key_id(word)), "")  # beside other log lines
    assert key, out
    with engine.connect() as connection:
        stored = find_key(connection, parse_key_id(key) or "")
    assert stored, out
    assert is_valid_key(stored, key, utc_now() + timedelta(days=1))
    assert expand_scopes(stored.scopes.split()) == {Scope.TRADE, Scope.READ}
    assert key.encode() not in stored.secret_hash
    command.main(["--list"])
    out = capsys.readouterr().out
    assert "desk-bot" in out
    assert "live" in out
    assert key not in out


def test_created_key_works_until_revoked(service, configured_database, monkeypatch, capsys):
    monkeypatch.setenv("DATABASE_URL", service.database_url)
    command.main(["--store", "soon-revoked", "--scopes", "read"])
    headers = {"X-API-Key": capsys.readouterr().out.strip()}
    assert service.client.get("/api/v1/portfolios", headers=headers).status_code == 200
    assert service.client.post("/api/v1/trade", headers=headers, json={}).status_code == 403
    assert command.main(["--revoke", "soon-revoked"]) == command.DONE
    gate = service.app.state.authentication
    gate.authenticator._cache.clear()  # half a second later
    assert service.client.get("/api/v1/portfolios", headers=headers).status_code == 401


def test_key_creation_and_revocation_are_audited(configured_database, engine, capsys):
    command.main(["--store", "desk-bot", "--scopes", "act_as"])
    key = capsys.readouterr().out.strip()
    command.main(["--revoke", "desk-bot"])
    with engine.connect() as connection:
        revoked, created = list_entries(connection, FIRST_TENANT, EntryFilter(), 10, None)
    assert [
        (chained_entry.action, chained_entry.target, chained_entry.via)
        for chained_entry in (created, revoked)
    ] == [
        ("key.created", "key:desk-bot", "shell"),
        ("key.revoked", "key:desk-bot", "shell"),
    ]
    assert created.actor.startswith("shell:")
    assert json.loads(created.after or "")["scopes"] == ["act_as"]
    assert key not in str(created)


def test_key_name_that_looks_like_a_secret_is_rejected(configured_database, capsys):
    assert command.main(["--store", f"oms_{'a' * 40}"]) == command.REFUSED
    assert "reads like a secret" in capsys.readouterr().err
    command.main(["--list"])
    assert "No keys were minted" in capsys.readouterr().out


def test_key_names_are_never_reused(configured_database, capsys):
    command.main(["--store", "desk-bot"])
    assert command.main(["--store", "desk-bot"]) == command.REFUSED
    assert "already" in capsys.readouterr().err
    assert command.main(["--revoke", "desk-bot"]) == command.DONE
    assert command.main(["--revoke", "desk-bot"]) == command.REFUSED
    assert "no valid key named 'desk-bot'" in capsys.readouterr().err
    assert command.main(["--store", "desk-bot"]) == command.REFUSED


def test_list_shows_revoked_keys_and_an_empty_result(configured_database, capsys):
    command.main(["--list"])
    assert "No keys were minted" in capsys.readouterr().out
    command.main(["--store", "desk-bot"])
    command.main(["--revoke", "desk-bot"])
    capsys.readouterr()
    command.main(["--list"])
    (line,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith("desk-bot")]
    assert line.split()[1:4] == ["read", "trade", "revoked"]


def test_key_expires_after_the_requested_days(configured_database, capsys):
    assert command.main(["--store", "visitor", "--expires-in-days", "30"]) == command.DONE
    command.main(["--store", "desk-bot"])
    capsys.readouterr()
    command.main(["--list"])
    lines = {line.split()[0]: line.split() for line in capsys.readouterr().out.splitlines()}
    created, expires = (datetime.fromisoformat(text) for text in lines["visitor"][4:6])
    assert (expires - created).days == 30
    assert lines["desk-bot"][5:] == ["never", "never"]


@pytest.mark.parametrize("days", ["0", "-1", "3651", "1.5", "\u0661", "soon"])
def test_invalid_number_of_days_is_rejected(days, capsys):
    with pytest.raises(SystemExit):
        command.main(["--store", "visitor", "--expires-in-days", days])
    assert "a whole number of days" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--store", "bot", "--scopes", "everything"], "not a valid Scope"),
        (["--store", "bot", "--scopes", "read tenants"], "OMS_API_KEY's alone"),
        (["--store", "Bootstrap"], "reserved"),
        (["--store", "old~3k9f0c2m7x1a"], "reserved"),
        (["--store", "bot", "--scopes", " "], "at least one scope"),
        (["--store", ""], "1 to 60"),
        (["--store", "x" * 61], "1 to 60"),
        (["--store", "böt"], "printable ASCII"),
        (["--store", "bot", "--list"], "not allowed with"),
        (["surprise"], "unrecognized arguments"),
    ],
)
def test_invalid_arguments_exit_with_2_and_a_message(arguments, sentence, capsys):
    with pytest.raises(SystemExit) as caught:
        command.main(arguments)
    assert caught.value.code == command.CANNOT
    assert sentence in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [["--list"], ["--store", "bot"], ["--revoke", "bot"]])
def test_unmigrated_database_is_reported(new_database, backend, monkeypatch, capsys, arguments):
    monkeypatch.setenv("OMS_API_KEY", BOOTSTRAP_KEY)
    monkeypatch.setenv("DATABASE_URL", new_database(backend, migrated=False))
    assert command.main(arguments) == command.CANNOT
    assert "python -m app.migrate" in capsys.readouterr().err


def test_unavailable_database_is_reported_in_one_line(monkeypatch, capsys):
    monkeypatch.setenv("OMS_API_KEY", BOOTSTRAP_KEY)
    monkeypatch.setenv("DATABASE_URL", "postgresql://desk:hidden-word@127.0.0.1:1/oms")
    assert command.main(["--list"]) == command.CANNOT
    err = capsys.readouterr().err
    assert err.startswith("The database cannot be used: ")
    assert err.count("\n") == 1
    assert "hidden-word" not in err
