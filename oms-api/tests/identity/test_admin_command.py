"""`python -m app.admin` makes the same changes from the shell.

Standard output contains secrets alone. Passwords are never among the arguments.
"""

import base64
import io
import subprocess
import sys
from pathlib import Path

import pytest
from dotenv import dotenv_values, set_key
from sqlalchemy import text
from typing_extensions import override

from app.admin import __main__ as command
from app.admin.arguments import build_parser
from app.admin.commands import COMMANDS
from app.config import Settings
from app.verify import verify_audit_logs, verify_database
from tests.factories import BOOTSTRAP_KEY, build_trade_body
from tests.identity.administration import (
    PASSWORD,
    assert_ok,
    build_bearer_header,
    connect_operator,
    list_audit_entries,
    log_in,
)
from tests.support.conditions import wait_until
from tests.support.service import ApiClient, run_service

pytestmark = pytest.mark.any_database

HOME = Path(command.__file__).parents[2]


class Typed(io.StringIO):
    """Standard input from a terminal or a pipe."""

    def __init__(self, arguments: str, *, terminal: bool = False) -> None:
        super().__init__(arguments)
        self.terminal = terminal

    @override
    def isatty(self) -> bool:
        return self.terminal


def remove_log_lines(output: str) -> str:
    """Leave out log lines: a service of an earlier test writes its access log up to 50 ms late."""
    return "".join(line for line in output.splitlines(keepends=True) if not line.startswith('{"timestamp"'))


@pytest.fixture
def run_command(database_url, monkeypatch, capsys):
    """`run("list", "tenants", typed="…")` returns exit status, standard output and standard error."""
    monkeypatch.setenv("OMS_API_KEY", BOOTSTRAP_KEY)
    monkeypatch.setenv("DATABASE_URL", database_url)

    def go(*arguments, typed=""):
        monkeypatch.setattr(sys, "stdin", Typed(typed))
        capsys.readouterr()  # what services in the same test have logged
        status = command.main(arguments)
        output = capsys.readouterr()
        return status, remove_log_lines(output.out), output.err

    return go


@pytest.fixture
def run_successfully(run_command):
    """As `run_command`, for what must succeed: returns standard output without its last line break."""

    def go(*arguments, typed=""):
        status, out, err = run_command(*arguments, typed=typed)
        assert status == command.DONE, err
        return out.removesuffix("\n")

    return go


def _find_tenant(service, slug, key):
    with service.open_connection() as connection:
        tenant_id = connection.execute(text("SELECT id FROM tenants WHERE slug = :slug"), {"slug": slug})
        return ApiClient(service, tenant_id.scalar_one(), key)


def test_every_command_is_available():
    names = {
        "create-tenant",
        "create-user",
        "create-key",
        "list",
        "revoke-key",
        "rotate-key",
        "rotate-master-key",
    }
    assert names | {"reset-password", "reset", "suspend", "resume"} <= set(COMMANDS)


def test_tenant_with_users_and_keys_is_created_from_the_shell(run_successfully, database_url):
    admin_key = run_successfully("create-tenant", "alpha", "Alpha Capital")
    run_successfully(
        "create-user",
        "Alice",
        "trader",
        "--email",
        "alice@example.com",
        "--tenant",
        "alpha",
        typed=f"{PASSWORD}\n",
    )
    bot_key = run_successfully(
        "create-key", "bot", "read", "act_as", "--tenant", "alpha", "--expires-in-days", "30"
    )
    with run_service(database_url) as service:
        alpha = _find_tenant(service, "alpha", admin_key)
        assert assert_ok(alpha.get("/tenants/alpha"))["name"] == "Alpha Capital"
        assert log_in(alpha).status_code == 200
        assert alpha.with_key(bot_key).get("/portfolios").status_code == 200
        body = {entry["action"]: entry for entry in list_audit_entries(alpha)}
    assert {"key.created", "user.created", "tenant.created"} <= set(body)
    entry = body["key.created"]
    assert entry["actor"].startswith("shell:")
    assert (entry["via"], entry["address"], entry["request_id"]) == ("shell", None, None)


def test_only_secrets_are_printed_to_stdout_and_passwords_are_not_printed(run_command):
    status, out, err = run_command("create-key", "bot", "trade")
    assert (status, out.count("\n"), out[:4]) == (command.DONE, 1, "oms_")
    assert out.strip() not in err
    output = run_command(
        "create-user", "Alice", "admin", "--email", "alice@example.com", typed=f"{PASSWORD}\n"
    )
    assert PASSWORD not in str(output)
    assert "password" not in {action.dest for action in build_parser()._actions}


def test_password_is_prompted_twice_at_a_terminal(run_command, monkeypatch):
    responses = iter([PASSWORD, PASSWORD, PASSWORD, "another lantern orbit"])
    monkeypatch.setattr("getpass.getpass", lambda _: next(responses))
    monkeypatch.setattr(Typed, "isatty", lambda _: True)
    assert run_command("create-user", "Alice", "trader", "--email", "alice@example.com")[0] == command.DONE
    status, _, err = run_command("reset-password", "alice@example.com")
    assert (status, "differ" in err) == (command.REFUSED, True)


def test_missing_or_weak_password_is_rejected(run_command):
    for typed in ("", "\n", "short\n"):
        status, out, _ = run_command("create-user", "A", "trader", "--email", "a@example.com", typed=typed)
        assert (status, out) == (command.REFUSED, "")


@pytest.mark.parametrize("word", ["reset", "reset-password"])
def test_password_reset_ends_the_sessions(run_successfully, database_url, word):
    with run_service(database_url) as service:
        first = connect_operator(service)
        run_successfully(
            "create-user", "Alice", "trader", "--email", "alice@example.com", typed=f"{PASSWORD}\n"
        )
        build_bearer_header(log_in(first))
        run_successfully(word, "Alice@example.com", typed="another lantern orbit\n")
        assert log_in(first).status_code == 401
        assert log_in(first, password="another lantern orbit").status_code == 200
        with service.open_connection() as connection:
            ended = connection.execute(text("SELECT revoked_because FROM sessions")).scalars().all()
    assert sorted(ended, key=str) == sorted([None, "password changed"], key=str)


def test_users_and_tenants_are_disabled_and_enabled(run_successfully, database_url):
    key = run_successfully("create-tenant", "alpha", "Alpha")
    run_successfully("create-user", "Uma", "trader", "--person", "slack:T1:U1", "--tenant", "alpha")
    states = []
    for arguments in (
        ("disable-user", "slack:T1:U1", "--tenant", "alpha"),
        ("enable-user", "slack:T1:U1", "--tenant", "alpha"),
        ("suspend", "alpha"),
        ("resume", "alpha"),
    ):
        run_successfully(*arguments)
        with run_service(database_url) as service:
            _find_tenant(service, "alpha", key).claim_workspace("T1")
            response = _find_tenant(service, "alpha", key).get(
                "/portfolios", {"X-On-Behalf-Of": "slack:T1:U1"}
            )
            states.append(response.status_code)
    assert states == [403, 200, 403, 200]


def test_keys_are_rotated_and_revoked_by_name_or_id(run_successfully, database_url):
    old = run_successfully("create-key", "bot", "trade")
    new = run_successfully("rotate-key", "bot", "--overlap-seconds", "600")
    with run_service(database_url) as service:
        for key, status in ((old, 200), (new, 200)):
            assert connect_operator(service).with_key(key).get("/portfolios").status_code == status
        old_id, new_id = old[4:16], new[4:16]
    run_successfully("revoke-key", old_id)
    run_successfully("revoke-key", "bot")
    with run_service(database_url) as service:
        for key in (old, new):
            assert connect_operator(service).with_key(key).get("/portfolios").status_code == 401
    assert [line.split()[0] for line in run_successfully("list", "keys").splitlines()] == [new_id, old_id]


def test_credentials_of_brokers_that_no_key_decrypts_are_named(run_command, database_url, monkeypatch):
    first, second = (f"{name}:{base64.b64encode(name.encode() * 16).decode()}" for name in ("k1", "k2"))
    with run_service(database_url, broker_keys=first) as service:
        account = {"key_id": "PK0123456789", "secret_key": "secret"}
        connection = {"name": "paper", "broker": "alpaca", "credentials": account}
        assert connect_operator(service).post("/broker-connections", connection).status_code == 201
    outputs = []
    for keys in (second, f"{second},{first}", second):
        monkeypatch.setenv("BROKER_KEYS", keys)
        status, _, sentence = run_command("encrypt-broker-credentials")
        outputs.append((status, sentence.split(" are ")[0], "paper" in sentence))
    message = "The credentials of {} broker connections"
    refused = (command.REFUSED, message.format(0), True)
    assert outputs == [
        refused,
        (command.DONE, message.format(1), False),
        (command.DONE, message.format(0), False),
    ]
    with run_service(database_url, broker_keys=second) as service:
        audit_entries = [
            (entry["target"], entry["after"])
            for entry in list_audit_entries(connect_operator(service))
            if entry["action"] == "installation.rotated"
        ]
    assert audit_entries == [("BROKER_KEYS", {"broker_connections": 1})]


def test_operator_may_revoke_the_last_admin_key(run_successfully):
    run_successfully("create-tenant", "alpha", "Alpha")
    run_successfully("revoke-key", "admin", "--tenant", "alpha")
    assert run_successfully("create-key", "admin-2", "admin", "--tenant", "alpha").startswith("oms_")


def test_lists_print_one_line_for_each_item(run_successfully):
    run_successfully("create-tenant", "alpha", "Alpha Capital")
    run_successfully("create-user", "Uma", "risk", "--person", "slack:T1:U1", "--tenant", "alpha")
    assert [line.split()[:2] for line in run_successfully("list", "tenants").splitlines()] == [
        ["alpha", "active"],
        ["default", "active"],
    ]
    [line] = run_successfully("list", "users", "--tenant", "alpha").splitlines()
    assert line.split()[1:4] == ["risk", "active", "slack:T1:U1"]
    assert run_successfully("list", "users") == ""


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        (("suspend", "default"), 1),
        (("suspend", "nope"), 1),
        (("create-tenant", "default", "Again"), 1),
        (("create-tenant", "no good", "Name"), 1),
        (("create-key", "bot", "write"), 1),
        (("create-key", "bot", "tenants"), 1),
        (("create-key", "bot", "read", "--portfolio", "Nowhere"), 1),
        (("create-key", "bot", "read", "--tenant", "nope"), 1),
        (("revoke-key", "nobody"), 1),
        (("reset", "nobody@example.com"), 1),
        (("create-user", "A", "trader"), 1),
        (("rotate-master-key", "--env-file", "/nowhere/.env"), 2),
    ],
)
def test_failed_command_has_an_exit_status_and_a_message(run_command, arguments, status):
    output = run_command(*arguments, typed=f"{PASSWORD}\n")
    assert (output[0], output[1]) == (status, "")
    assert output[2]


@pytest.mark.parametrize(
    "arguments", [(), ("create-user", "A", "king"), ("create-key", "b", "read", "--expires-in-days", "0")]
)
def test_invalid_arguments_are_reported(run_command, arguments):
    with pytest.raises(SystemExit) as refusal:
        run_command(*arguments)
    assert refusal.value.code == 2


def test_missing_tables_or_database_are_reported(run_command, monkeypatch, tmp_path):
    monkeypatch.setenv("DATABASE_URL", f"sqlite:///{tmp_path}/empty.db")
    assert run_command("list", "tenants")[0] == command.CANNOT
    monkeypatch.setenv("DATABASE_URL", "postgresql://nobody@127.0.0.1:1/nothing")
    status, _, err = run_command("list", "tenants")
    assert (status, "cannot be used" in err) == (command.CANNOT, True)
    monkeypatch.setenv("DATABASE_URL", "mysql://x")
    assert run_command("list", "tenants")[0] == command.CANNOT


def test_master_key_rotation_updates_the_file_and_keeps_sessions(run_successfully, database_url, tmp_path):
    file = tmp_path / ".env"
    file.write_text(f"# Settings\nOMS_API_KEY={BOOTSTRAP_KEY}\nPORT=8001\n")
    file.chmod(0o600)
    settings = {"environment": "development", "jwt_keys": None}
    with run_service(database_url, **settings) as service:
        run_successfully(
            "create-user", "Alice", "trader", "--email", "alice@example.com", typed=f"{PASSWORD}\n"
        )
        session = build_bearer_header(log_in(connect_operator(service)))
    assert run_successfully("rotate-master-key", "--env-file", str(file)) == ""
    written = dotenv_values(file)
    new = written["OMS_API_KEY"]
    assert (written["OMS_API_KEY_PREVIOUS"], written["PORT"]) == (BOOTSTRAP_KEY, "8001")
    assert file.read_text().startswith(f"# Settings\nOMS_API_KEY={new}\nPORT=8001\n")
    assert file.stat().st_mode & 0o777 == 0o600
    assert new not in (None, BOOTSTRAP_KEY)
    assert Settings(_env_file=None, oms_api_key=str(new)).oms_api_key == new
    rotated = {"oms_api_key": new, "oms_api_key_previous": BOOTSTRAP_KEY, **settings}
    with run_service(database_url, **rotated) as service:
        for key in (new, BOOTSTRAP_KEY):
            assert ApiClient(service, 1, str(key)).get("/portfolios").status_code == 200
        assert service.client.get("/api/v1/portfolios", headers=session).status_code == 200
        audit_entries = [
            entry
            for entry in list_audit_entries(connect_operator(service))
            if entry["action"] == "installation.rotated"
        ]
    assert [entry["target"] for entry in audit_entries] == ["OMS_API_KEY"]


def test_master_key_rotation_without_a_file_prints_the_key(run_command):
    status, out, err = run_command("rotate-master-key")
    assert (status, len(out.strip()) >= 32, "OMS_API_KEY_PREVIOUS" in err) == (command.DONE, True, True)


def test_master_key_with_special_characters_is_kept_as_the_previous_key(run_successfully, tmp_path):
    odd = "a'b\"c#d$e\\f" + "g" * 32
    file = tmp_path / ".env"
    file.write_text("OMS_API_KEY_PREVIOUS=older\n")
    assert command.main(["rotate-master-key", "--env-file", str(file)]) == command.CANNOT
    set_key(file, "OMS_API_KEY", odd)
    run_successfully("rotate-master-key", "--env-file", str(file))
    assert dotenv_values(file, interpolate=False)["OMS_API_KEY_PREVIOUS"] == odd


def test_admin_command_runs_as_a_program(database_url, tmp_path):
    environment = {
        "HOME": str(tmp_path),
        "PATH": "",
        "OMS_API_KEY": BOOTSTRAP_KEY,
        "DATABASE_URL": database_url,
    }
    ended = subprocess.run(
        [sys.executable, "-m", "app.admin", "create-tenant", "alpha", "Alpha"],
        cwd=HOME, env=environment, capture_output=True, check=False, timeout=60,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.startswith(b"oms_")


def test_credentials_of_brokers_are_encrypted_again(run_command, database_url):
    status, _, err = run_command("encrypt-broker-credentials")
    assert (status, "credentials of 0 broker connections" in err) == (command.DONE, True)


def list_texts(engine, tables):
    """Return all that these tables hold, as one text."""
    with engine.connect() as connection:
        return "".join(str(connection.execute(text(f"SELECT * FROM {table}")).all()) for table in tables)  # noqa: S608  # ours


@pytest.mark.parametrize("audit_name", ["slack:T1:U7", "zoe@example.com"])
def test_erased_person_is_a_pseudonym_and_everything_still_verifies(
    run_successfully, run_command, database_url, audit_name
):
    with run_service(database_url) as service:
        api = connect_operator(service)
        api.claim_workspace("T1")
        user = {"name": "Zoe Canary", "role": "trader", "person": "slack:T1:U7"}
        user |= {"email": "zoe@example.com", "password": PASSWORD}
        assert_ok(api.post("/users", user, {"Idempotency-Key": "z"}), 201)
        session = build_bearer_header(log_in(api, email="zoe@example.com"))
        acting = {"X-On-Behalf-Of": "slack:T1:U7"}
        trade = assert_ok(api.post("/trade", build_trade_body(), acting), 201)["trade"]
        for headers in (acting, session | {"X-API-Key": ""}):
            alert = {"kind": "price", "symbol": "AAPL", "above": "150"}
            sent = {name: value for name, value in headers.items() if value}
            key = {} if "Authorization" in sent else {"X-API-Key": api.key}
            response = service.client.post("/api/v1/alerts", json=alert, headers=sent | key)
            assert response.status_code == 201, response.text
        assert "canary" in list_texts(service.engine, ["users", "admin_requests"]).lower()
        status, _, err = run_command("erase-person", audit_name)
        assert (status, "keep the ID" in err) == (command.DONE, True)
        wait_until(
            lambda: service.client.get("/api/v1/portfolios", headers=session).status_code == 401,
            "the end of the session",
        )
        assert log_in(api, email="zoe@example.com").status_code == 401
        texts = list_texts(service.engine, ["users", "logins", "admin_requests", "alerts", "preferences"])
        assert not {"canary", "zoe@", "U7"} & {word for word in ("canary", "zoe@", "U7") if word in texts}
        assert "Erased person" in texts
        assert assert_ok(api.get(f"/trades/{trade['trade_id']}"))["actor"] == "slack:T1:U7"
        assert verify_database(service.engine).is_clean
        assert verify_audit_logs(service.engine).problem is None
    assert run_command("erase-person", audit_name)[0] == command.REFUSED
