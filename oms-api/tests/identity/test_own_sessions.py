"""Users change their own password, and list and end their sessions; old sessions are deleted."""

import asyncio
from datetime import timedelta

import pytest

from app.errors import Invalid
from app.identity.errors import NoValidKey
from app.identity.rules.access import Caller
from app.identity.service.logins import WrongLogin, WrongPassword
from app.identity.service.sessions import RETENTION_AFTER_END, NoSession, NoSuchSession
from app.identity.service.throttle import PAIR, TooManyLogIns
from tests.support.people import LAPTOP, PASSWORD, THIEF, create_person, execute, query

pytestmark = pytest.mark.any_database

ANOTHER = "seven quiet lamps drift home"


def change_password(services, caller, current, password):
    asyncio.run(services.login_service.change_password(caller, current, password, LAPTOP))


def test_password_change_ends_all_other_sessions(session_services, alice, engine):
    own_session, other = (
        session_services.log_in(alice.build_login()),
        session_services.log_in(alice.build_login(), THIEF),
    )
    caller = session_services.caller(own_session.access)
    with pytest.raises(WrongPassword):
        change_password(session_services, caller, "not the password", ANOTHER)
    with pytest.raises(Invalid):
        change_password(session_services, caller, PASSWORD, "password")
    change_password(session_services, caller, PASSWORD, ANOTHER)
    assert session_services.refresh(own_session.refresh)
    with pytest.raises(NoValidKey):
        session_services.caller(other.access)
    with pytest.raises(WrongLogin):
        session_services.log_in(alice.build_login())
    assert session_services.log_in(alice.build_login(ANOTHER))
    session_services.audit_writer.flush(include_recent=True)
    actions = [row.action for row in query(engine, "SELECT action FROM audit_log ORDER BY sequence")]
    assert actions.count("password.changed") == 1
    assert "login.failed" in actions


def test_password_guesses_within_a_session_are_throttled(session_services, alice):
    caller = session_services.caller(session_services.log_in(alice.build_login()).access)
    account = alice.build_login().account
    for _ in range(PAIR.attempts):
        session_services.throttle.start_attempt(account, LAPTOP.address)
    with pytest.raises(TooManyLogIns):
        change_password(session_services, caller, PASSWORD, ANOTHER)


def test_user_lists_and_revokes_only_their_own_sessions(session_services, alice, engine):
    bob = create_person(engine, alice.tenant_id, email="bob@x")
    own_session, other, bobs = (
        session_services.log_in(person.build_login()) for person in (alice, alice, bob)
    )
    caller, elsewhere, bob_caller = (
        session_services.caller(tokens.access) for tokens in (own_session, other, bobs)
    )
    listed = asyncio.run(session_services.sessions.list_own_sessions(caller))
    ids = {f"session:{session.session_id}" for session in listed}
    assert ids == {caller.key_id, elsewhere.key_id}
    for session_id in (bob_caller.key_id.removeprefix("session:"), "0" * 32):
        with pytest.raises(NoSuchSession):
            asyncio.run(session_services.sessions.revoke(caller, session_id, LAPTOP))
    asyncio.run(session_services.sessions.revoke(caller, elsewhere.key_id.removeprefix("session:"), LAPTOP))
    with pytest.raises(NoValidKey):
        session_services.caller(other.access)
    assert len(asyncio.run(session_services.sessions.list_own_sessions(caller))) == 1
    assert session_services.caller(bobs.access)
    session_services.now += timedelta(days=365)
    assert asyncio.run(session_services.sessions.list_own_sessions(caller)) == []


def test_api_key_has_no_sessions_or_password(session_services, alice):
    key = Caller(alice.tenant_id, "000000000000", "bot", frozenset())
    for work in (
        session_services.sessions.list_own_sessions(key),
        session_services.sessions.revoke(key, "0" * 32, LAPTOP),
        session_services.login_service.change_password(key, PASSWORD, ANOTHER, LAPTOP),
    ):
        with pytest.raises(NoSession):
            asyncio.run(work)


def test_old_sessions_are_deleted_at_the_next_login(session_services, alice, engine):
    session_services.log_in(alice.build_login())
    session_services.log_in(alice.build_login(), THIEF)
    execute(
        engine,
        "UPDATE sessions SET revoked_at = created_at WHERE client_hash = :hash",
        hash=THIEF.hash,
    )
    session_services.now += RETENTION_AFTER_END + timedelta(seconds=1)
    session_services.log_in(alice.build_login())
    assert len(query(engine, "SELECT session_id FROM sessions")) == 2
    session_services.now += timedelta(days=365) + RETENTION_AFTER_END
    session_services.log_in(alice.build_login())
    assert len(query(engine, "SELECT session_id FROM sessions")) == 1


def test_own_session_operations_work_over_http(service):
    alice = create_person(service.engine)
    credentials = {"tenant": alice.tenant, "email": alice.email, "password": PASSWORD}
    tokens = service.client.post("/api/v1/auth/login", json=credentials).json()
    headers = {"Authorization": f"Bearer {tokens['access_token']}"}
    [session] = service.client.get("/api/v1/auth/sessions", headers=headers).json()
    assert session["is_current"]
    changed = {"current_password": PASSWORD, "new_password": ANOTHER}
    assert service.client.post("/api/v1/auth/password", json=changed, headers=headers).status_code == 204
    again = service.client.post("/api/v1/auth/password", json=changed, headers=headers)
    assert (again.status_code, again.json()["type"]) == (403, "urn:slackoms:problem/wrong-password")
    path = f"/api/v1/auth/sessions/{session['session_id']}"
    assert service.client.delete(path, headers=headers).status_code == 204
    assert service.client.get("/api/v1/auth/me", headers=headers).status_code == 401
