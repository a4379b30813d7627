"""Logins: every failure has the same answer and the same cost, and each is audited."""

import asyncio
import json

import pytest
from sqlalchemy import event

from app.audit.service import AuditEntry
from app.errors import Unavailable
from app.identity.errors import TenantSuspended
from app.identity.rules.clients import Client
from app.identity.service import passwords as passwords_service
from app.identity.service.logins import WrongLogin
from app.identity.service.throttle import ACCOUNT, PAIR, TooManyLogIns
from tests.support.people import (
    LAPTOP,
    PASSWORD,
    THIEF,
    SessionServices,
    create_person,
    execute,
    query,
    run_session_services,
)

WRONG = "another kettle marches south"


def list_audit_entries(services, engine):
    services.audit_writer.flush(include_recent=True)
    return query(engine, "SELECT * FROM audit_log ORDER BY tenant_id, sequence")


def assert_login_refused(services: SessionServices, credentials, client=LAPTOP):
    with pytest.raises(WrongLogin) as caught:
        services.log_in(credentials, client)
    return caught.value


def list_wrong_credentials(alice):
    return {
        "password": alice.build_login(WRONG),
        "person": alice.build_login(email="nobody@x"),
        "person and password": alice.build_login(WRONG, email="nobody@x"),
        "tenant": alice.build_login(tenant="no-such-tenant"),
        "everything": alice.build_login(WRONG, tenant="no-such-tenant", email="nobody@x"),
    }


def test_valid_credentials_start_a_session(session_services, alice):
    tokens = session_services.log_in(alice.build_login())
    assert session_services.caller(tokens.access).person == alice.email


def test_same_email_in_two_tenants_is_two_users(session_services, alice, engine):
    other = create_person(engine)
    execute(engine, "UPDATE logins SET password_hash = 'x' WHERE tenant_id = :id", id=other.tenant_id)
    assert (
        session_services.caller(session_services.log_in(alice.build_login()).access).tenant_id
        == alice.tenant_id
    )
    assert_login_refused(session_services, other.build_login())


@pytest.mark.parametrize("what", ["password", "person", "person and password", "tenant", "everything"])
def test_every_login_failure_has_the_same_answer_and_cost(session_services, alice, monkeypatch, what):
    queries, hashes = [], []
    hasher = passwords_service._get_hasher()

    class Counting:
        def verify(self, stored, password):
            hashes.append(stored.rsplit("$", 2)[0])
            return hasher.verify(stored, password)

    monkeypatch.setattr(passwords_service, "_get_hasher", Counting)
    event.listen(session_services.engine, "before_cursor_execute", lambda *args: queries.append(args[2]))
    error = assert_login_refused(session_services, list_wrong_credentials(alice)[what])
    assert (error.status, error.kind) == (401, "wrong-login")
    assert (
        error.detail == "The tenant, the e-mail address or the password is wrong; correct them and try again."
    )
    assert hashes == ["$argon2id$v=19$m=19456,t=2,p=1"]
    assert len([query for query in queries if query != "BEGIN"]) == 1


def test_disabled_user_gets_the_same_answer(session_services, alice, engine):
    execute(engine, "UPDATE users SET status = 'disabled'")
    assert (
        assert_login_refused(session_services, alice.build_login()).detail
        == assert_login_refused(session_services, alice.build_login(WRONG)).detail
    )
    assert query(engine, "SELECT * FROM sessions") == []


def test_password_reset_during_verification_rejects_the_login(session_services, alice, engine, monkeypatch):
    verify = passwords_service.Passwords.verify

    async def verify_and_be_late(self, *arguments):
        verdict = await verify(self, *arguments)
        execute(engine, "UPDATE logins SET password_hash = 'another'")
        return verdict

    monkeypatch.setattr(passwords_service.Passwords, "verify", verify_and_be_late)
    assert_login_refused(session_services, alice.build_login())
    assert query(engine, "SELECT * FROM sessions") == []


def test_only_a_valid_password_reveals_a_suspended_tenant(session_services, alice, engine):
    execute(engine, "UPDATE tenants SET status = 'suspended'")
    with pytest.raises(TenantSuspended):
        session_services.log_in(alice.build_login())
    assert_login_refused(session_services, alice.build_login(WRONG))


def test_outdated_password_hash_is_replaced_at_the_next_login(session_services, alice, engine):
    from argon2 import PasswordHasher  # noqa: PLC0415  # as the service does

    weak = PasswordHasher(time_cost=1, memory_cost=8192, parallelism=1).hash(PASSWORD)
    execute(engine, "UPDATE logins SET password_hash = :weak", weak=weak)
    assert_login_refused(session_services, alice.build_login(WRONG))
    assert query(engine, "SELECT password_hash FROM logins")[0][0] == weak
    session_services.log_in(alice.build_login())
    assert "m=19456,t=2,p=1" in query(engine, "SELECT password_hash FROM logins")[0][0]
    assert session_services.log_in(alice.build_login())


# The audit log


def test_successful_login_is_audited_with_its_session(session_services, alice, engine):
    tokens = session_services.log_in(alice.build_login())
    (row,) = list_audit_entries(session_services, engine)
    assert (row.tenant_id, row.actor, row.action) == (alice.tenant_id, "alice@x", "login.succeeded")
    assert (row.address, row.request_id) == (LAPTOP.address, LAPTOP.request_id)
    assert row.target == session_services.caller(tokens.access).key_id


def test_failed_logins_of_an_account_are_aggregated_in_the_audit_log(session_services, alice, engine):
    for _ in range(PAIR.attempts):
        assert_login_refused(session_services, alice.build_login(WRONG))
    rows = list_audit_entries(session_services, engine)
    assert {(row.actor, row.action, row.target) for row in rows} == {
        ("alice@x", "login.failed", "user:alice@x")
    }
    assert sum(row.count for row in rows) == PAIR.attempts
    assert len(rows) <= 2


def test_unknown_accounts_make_one_audit_entry_without_their_names(session_services, alice, engine):
    for number in range(PAIR.attempts + 5):
        assert_login_refused(
            session_services, alice.build_login(email=f"{PASSWORD.replace(' ', '')}{number}@x")
        )
    rows = list_audit_entries(session_services, engine)
    assert len(rows) <= 2
    assert sum(row.count for row in rows) == PAIR.attempts + 5
    assert "kettle" not in str(rows)


def test_login_to_an_unknown_tenant_is_not_audited(session_services, alice, engine):
    assert_login_refused(session_services, alice.build_login(tenant="no-such-tenant"))
    assert list_audit_entries(session_services, engine) == []


def test_no_password_or_token_is_stored(session_services, alice, engine, caplog):
    caplog.set_level("DEBUG")
    tokens = session_services.log_in(alice.build_login())
    assert_login_refused(session_services, alice.build_login(WRONG))
    list_audit_entries(session_services, engine)
    everything = (
        caplog.text
        + repr(alice.build_login())
        + repr(tokens)
        + str([record.__dict__ for record in caplog.records])
    )
    for table in ("logins", "sessions", "users", "audit_log"):
        everything += str(query(engine, f"SELECT * FROM {table}"))  # noqa: S608  # names of our own
    for secret in (PASSWORD, WRONG, tokens.access, tokens.refresh, tokens.refresh.rpartition(".")[2]):
        assert secret not in everything


# The throttle


def test_ten_failures_throttle_even_the_correct_password(session_services, alice):
    for _ in range(PAIR.attempts):
        assert_login_refused(session_services, alice.build_login(WRONG))
    with pytest.raises(TooManyLogIns) as caught:
        session_services.log_in(alice.build_login())
    assert caught.value.retry_after_seconds in range(1, int(PAIR.seconds_each) + 1)


def test_throttled_login_does_no_hashing(session_services, alice, monkeypatch):
    for _ in range(PAIR.attempts):
        assert_login_refused(session_services, alice.build_login(WRONG))

    async def verify(*_):
        raise AssertionError("hashed")

    monkeypatch.setattr(session_services.passwords, "verify", verify)
    queries: list[str] = []
    event.listen(session_services.engine, "before_cursor_execute", lambda *args: queries.append(args[2]))
    with pytest.raises(TooManyLogIns):
        session_services.log_in(alice.build_login())
    assert queries == []


@pytest.fixture
def services_with_quick_hasher(session_services, monkeypatch):
    """Provide the services with a hasher that only compares, so that attacks take no time."""

    class Comparing:
        def verify(self, stored, password):
            from argon2.exceptions import VerifyMismatchError  # noqa: PLC0415  # as the service does

            if password != PASSWORD or "AAAA" in stored:
                raise VerifyMismatchError

        def check_needs_rehash(self, _):
            return False

    monkeypatch.setattr(passwords_service, "_get_hasher", Comparing)
    return session_services


def guess_passwords(services, credentials, addresses):
    for number in range(addresses):
        assert_login_refused(services, credentials, Client(f"198.51.100.{number}", "bot", "r"))


def test_distributed_attack_does_not_lock_out_the_user_at_a_known_address(services_with_quick_hasher, alice):
    services_with_quick_hasher.log_in(alice.build_login())
    guess_passwords(services_with_quick_hasher, alice.build_login(WRONG), ACCOUNT.attempts)
    with pytest.raises(TooManyLogIns):
        services_with_quick_hasher.log_in(alice.build_login(WRONG), Client("198.51.100.200", "bot", "r"))
    with pytest.raises(TooManyLogIns):
        services_with_quick_hasher.log_in(
            alice.build_login(), THIEF
        )  # even the right password, from where it never came
    assert services_with_quick_hasher.log_in(alice.build_login())


def test_known_addresses_persist_across_restarts_and_processes(
    database_url, services_with_quick_hasher, alice
):
    services_with_quick_hasher.log_in(alice.build_login())
    with run_session_services(database_url) as (restarted,):
        guess_passwords(restarted, alice.build_login(WRONG), ACCOUNT.attempts)
        assert restarted.log_in(alice.build_login())


def count_queries_of_refusal(services, credentials):
    """Return the number of queries of a refused login, its sentence, and the seconds to wait."""
    queries: list[str] = []
    listen = lambda *args: queries.append(args[2])  # noqa: E731  # to be taken off again
    event.listen(services.engine, "before_cursor_execute", listen)
    with pytest.raises(TooManyLogIns) as refusal:
        services.log_in(credentials, Client("198.51.100.200", "bot", "r"))
    event.remove(services.engine, "before_cursor_execute", listen)
    return len(queries), refusal.value.detail, refusal.value.retry_after_seconds


def test_throttling_does_not_reveal_existing_accounts(services_with_quick_hasher, alice):
    nobody = alice.build_login(WRONG, email="nobody@x")
    seconds = []
    for credentials in (alice.build_login(WRONG), nobody):
        guess_passwords(services_with_quick_hasher, credentials, ACCOUNT.attempts)
        tries = [count_queries_of_refusal(services_with_quick_hasher, credentials) for _ in range(5)]
        seconds.append(min(tries))  # the audit log is written beside some of them
    assert seconds[0][:2] == seconds[1][:2]
    assert abs(seconds[0][2] - seconds[1][2]) <= 30  # seconds to wait, of two attacks one after the other


def test_login_that_could_not_be_verified_is_not_counted(services_with_quick_hasher, alice, monkeypatch):
    verify = services_with_quick_hasher.passwords.verify

    async def full(*_):
        raise Unavailable("full")

    monkeypatch.setattr(services_with_quick_hasher.passwords, "verify", full)
    for _ in range(3 * PAIR.attempts):
        with pytest.raises(Unavailable):
            services_with_quick_hasher.log_in(alice.build_login())
    monkeypatch.setattr(services_with_quick_hasher.passwords, "verify", verify)
    assert services_with_quick_hasher.log_in(alice.build_login())


def test_full_hashing_queue_returns_retry_after(session_services, alice):
    async def log_in_concurrently():
        attempts = [
            session_services.login_service.log_in(
                alice.build_login(email=f"{number}@x"), Client(f"203.0.113.{number}", "bot", "r")
            )
            for number in range(200)
        ]
        return await asyncio.gather(*attempts, return_exceptions=True)

    results = asyncio.run(log_in_concurrently())
    refusals = [result for result in results if isinstance(result, Unavailable)]
    assert refusals
    assert {unavailable.retry_after_seconds for unavailable in refusals} == {1}
    assert sum(isinstance(result, WrongLogin) for result in results) == 200 - len(refusals)


# On the wire


@pytest.fixture
def client(serve, engine):
    with serve() as service:
        yield service.client


def post_login(client, path, body, **headers):
    sent = {"Content-Type": "application/json"} | headers
    return client.post(f"/api/v1/auth/{path}", content=json.dumps(body).encode(), headers=sent)


def build_credentials(person, **changes):
    return {"tenant": person.tenant, "email": person.email, "password": PASSWORD} | changes


def build_bearer_header(tokens):
    return {"Authorization": f"Bearer {tokens['access_token']}"}


def test_session_works_from_login_to_logout(client, alice):
    response = post_login(client, "login", build_credentials(alice, email=" Alice@X "))
    assert response.status_code == 200, response.text
    tokens = response.json()
    assert set(tokens) == {"access_token", "refresh_token", "token_type", "expires_in"}
    assert (tokens["token_type"], tokens["expires_in"]) == ("bearer", 900)
    assert response.headers["cache-control"] == "no-store"

    me = client.get("/api/v1/auth/me", headers=build_bearer_header(tokens)).json()
    assert me == {
        "actor": "alice@x",
        "tenant": alice.tenant,
        "tenant_name": "A desk",
        "name": "Alice",
        "email": "alice@x",
        "role": "trader",
        "scopes": ["read", "trade"],
        "portfolios": None,
        "via": "session",
    }
    fresh = post_login(client, "refresh", {"refresh_token": tokens["refresh_token"]}).json()
    assert fresh["refresh_token"] != tokens["refresh_token"]
    assert post_login(client, "logout", {}, **build_bearer_header(fresh)).status_code == 204
    for sent in (tokens, fresh):
        assert client.get("/api/v1/auth/me", headers=build_bearer_header(sent)).status_code == 401
    assert post_login(client, "refresh", {"refresh_token": fresh["refresh_token"]}).status_code == 401


def test_every_login_failure_has_the_same_http_response(client, alice):
    responses = [
        post_login(client, "login", build_credentials(alice, **changes))
        for changes in ({"password": WRONG}, {"email": "nobody@x"}, {"tenant": "nowhere"})
    ]
    bodies = [{**response.json(), "request_id": ""} for response in responses]
    assert [response.status_code for response in responses] == [401] * 3
    assert bodies[0] == bodies[1] == bodies[2]


def test_ten_failures_return_429_with_retry_after(client, alice):
    for _ in range(PAIR.attempts):
        assert post_login(client, "login", build_credentials(alice, password=WRONG)).status_code == 401
    response = post_login(client, "login", build_credentials(alice))
    assert response.status_code == 429
    assert 0 < int(response.headers["retry-after"]) <= PAIR.seconds_each


@pytest.mark.parametrize(
    "changes",
    [
        {"password": ""},
        {"password": "x" * 1025},
        {"password": 5},
        {"password": None},
        {"email": "alice"},
        {"email": "a@b@c"},
        {"email": "a b@c"},
        {"email": "a\u202eb@c"},
        {"email": "x" * 250 + "@y.z"},
        {"tenant": ""},
        {"tenant": "x" * 61},
        {"role": "admin"},
        {"tenant_id": 1},
    ],
)
def test_malformed_login_returns_422_without_echoing_input(client, alice, changes):
    response = post_login(client, "login", build_credentials(alice, **changes))
    assert response.status_code == 422, response.text
    assert PASSWORD not in response.text
    assert [error["field"] for error in response.json()["errors"]] == list(changes)


@pytest.mark.parametrize(
    "body", [{}, {"refresh_token": ""}, {"refresh_token": 5}, {"refresh_token": "x" * 1501}]
)
def test_malformed_refresh_returns_422(client, body):
    assert post_login(client, "refresh", body).status_code == 422


def test_invalid_refresh_token_returns_401(client):
    assert post_login(client, "refresh", {"refresh_token": "oms-refresh.x"}).status_code == 401


def test_api_key_can_read_its_identity_but_not_log_out(api):
    me = api.get("/auth/me").json()
    assert me["tenant"] == f"desk-{api.tenant_id}"
    assert me["name"] is None
    assert me["email"] is None
    assert me["role"] is None
    assert me["via"].startswith("key-")
    assert api.post("/auth/logout", {}).status_code == 403


def test_trade_of_a_session_names_its_user(client, alice, engine):
    tokens = post_login(client, "login", build_credentials(alice)).json()
    body = {"symbol": "AAPL", "quantity": "1", "gmv": "10", "side": "BUY", "portfolio_name": "Growth"}
    response = client.post("/api/v1/trade", json=body, headers=build_bearer_header(tokens))
    assert response.status_code == 201, response.text
    assert query(engine, "SELECT actor, source FROM trades") == [("alice@x", "session")]


def test_audit_entry_has_the_fields_of_login_entries():
    assert AuditEntry.__dataclass_fields__.keys() >= {"tenant_id", "actor", "via", "action", "target"}
