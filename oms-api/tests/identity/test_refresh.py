"""Refresh tokens: each works once, a lost answer is repeated, and a stolen token ends the session."""

import asyncio
from datetime import timedelta

import pytest

from app.identity.errors import NoValidKey, TenantSuspended
from app.identity.queries import sessions as queries
from app.identity.rules.clients import Client
from app.identity.rules.tokens import Tokens, create_refresh_token, verify_refresh_token
from app.identity.service.sessions import NotRefreshed
from tests.support.people import LAPTOP, RING, THIEF, execute, query, run_session_services

RACERS = 50


def read_end_reason(engine):
    return [row.revoked_because for row in query(engine, "SELECT revoked_because FROM sessions")]


def list_audit_entries(engine):
    return [row.action for row in query(engine, "SELECT action FROM audit_log ORDER BY sequence")]


def refresh_concurrently(house_list, token, clients):
    """Present the token for all clients at once, spread over the processes; return each answer."""

    async def present():
        tasks = [
            house_list[index % len(house_list)].sessions.refresh(token, client)
            for index, client in enumerate(clients)
        ]
        return await asyncio.gather(*tasks, return_exceptions=True)

    return asyncio.run(present())


def test_refresh_token_is_exchanged_and_the_session_continues(session_services, alice):
    tokens = session_services.log_in(alice.build_login())
    for generation in range(1, 4):
        session_services.now += timedelta(minutes=14)
        tokens = session_services.refresh(tokens.refresh)
        assert verify_refresh_token(tokens.refresh, RING)[1] == generation
        caller = session_services.caller(tokens.access)
        assert (caller.tenant_id, caller.user_id) == (alice.tenant_id, alice.user_id)


def test_repeated_refresh_by_the_same_client_returns_the_same_successor(session_services, alice, engine):
    first = session_services.log_in(alice.build_login())
    second = session_services.refresh(first.refresh)
    session_services.now += timedelta(seconds=10)
    second_tokens = session_services.refresh(first.refresh)
    assert second_tokens.refresh == second.refresh
    assert session_services.caller(second_tokens.access)
    assert session_services.refresh(second.refresh)
    assert read_end_reason(engine) == [None]


def test_reuse_after_ten_seconds_is_treated_as_theft(session_services, alice, engine):
    first = session_services.log_in(alice.build_login())
    second = session_services.refresh(first.refresh)
    session_services.now += timedelta(seconds=11)
    with pytest.raises(NotRefreshed):
        session_services.refresh(first.refresh)
    with pytest.raises(NotRefreshed):
        session_services.refresh(second.refresh)
    assert read_end_reason(engine) == ["refresh token used twice"]


@pytest.mark.parametrize(
    "other", [THIEF, Client(LAPTOP.address, "curl", "r"), Client(THIEF.address, LAPTOP.user_agent, "r")]
)
def test_reuse_by_another_client_ends_the_session_immediately(session_services, alice, engine, other):
    first = session_services.log_in(alice.build_login())
    second = session_services.refresh(first.refresh)
    with pytest.raises(NotRefreshed):
        session_services.refresh(first.refresh, other)
    for token, client in ((second.refresh, LAPTOP), (first.refresh, LAPTOP), (second.refresh, other)):
        with pytest.raises(NotRefreshed):
            session_services.refresh(token, client)
    with pytest.raises(NoValidKey):
        session_services.caller(second.access)
    assert list_audit_entries(engine) == ["login.succeeded", "session.reused"]


def test_token_stolen_and_used_first_is_detected_by_the_owner(session_services, alice, engine):
    first = session_services.log_in(alice.build_login())
    stolen = session_services.refresh(first.refresh, THIEF)
    with pytest.raises(NotRefreshed):
        session_services.refresh(first.refresh)
    with pytest.raises(NotRefreshed):
        session_services.refresh(stolen.refresh, THIEF)
    with pytest.raises(NoValidKey):
        session_services.caller(stolen.access)


def test_audit_log_names_client_and_address_of_token_reuse(session_services, alice, engine):
    first = session_services.log_in(alice.build_login())
    session_services.refresh(first.refresh)
    with pytest.raises(NotRefreshed):
        session_services.refresh(first.refresh, THIEF)
    session_id, _ = verify_refresh_token(first.refresh, RING)
    rows = query(engine, "SELECT * FROM audit_log ORDER BY sequence")
    assert (rows[1].tenant_id, rows[1].actor, rows[1].target) == (
        alice.tenant_id,
        "alice@x",
        f"session:{session_id}",
    )
    assert (rows[1].address, rows[1].request_id) == (THIEF.address, THIEF.request_id)
    assert not [row for row in rows if first.refresh in str(row) or first.access in str(row)]


def test_token_reuse_keeps_other_sessions_of_the_user(session_services, alice):
    here, there = (
        session_services.log_in(alice.build_login()),
        session_services.log_in(alice.build_login(), THIEF),
    )
    session_services.refresh(here.refresh)
    with pytest.raises(NotRefreshed):
        session_services.refresh(here.refresh, THIEF)
    assert session_services.refresh(there.refresh, THIEF)


def test_concurrent_refreshes_of_one_client_return_one_successor(database_url, alice, engine):
    with run_session_services(database_url, 2) as both:
        first = both[0].log_in(alice.build_login())
        results = refresh_concurrently(both, first.refresh, [LAPTOP] * RACERS)
    assert all(isinstance(result, Tokens) for result in results), results
    assert {result.refresh for result in results} == {
        create_refresh_token(verify_refresh_token(first.refresh, RING)[0], 1, RING)
    }
    assert [row.generation for row in query(engine, "SELECT generation FROM sessions")] == [1]
    assert read_end_reason(engine) == [None]


def test_concurrent_refreshes_of_many_clients_end_the_session(database_url, alice, engine):
    racers = [Client(f"198.51.100.{number}", "browser", "r") for number in range(RACERS)]
    with run_session_services(database_url, 2) as both:
        first = both[0].log_in(alice.build_login())
        results = refresh_concurrently(both, first.refresh, racers)
        winners = [result for result in results if isinstance(result, Tokens)]
        assert len(winners) == 1
        assert sum(isinstance(result, NotRefreshed) for result in results) == RACERS - 1
        with pytest.raises(NotRefreshed):
            both[1].refresh(winners[0].refresh, racers[0])
    assert [row.generation for row in query(engine, "SELECT generation FROM sessions")] == [1]
    assert list_audit_entries(engine) == ["login.succeeded", "session.reused"]


def test_session_expires_after_a_month_even_if_active(session_services, alice):
    tokens = session_services.log_in(alice.build_login())
    for _ in range(5):
        session_services.now += timedelta(days=5)
        tokens = session_services.refresh(tokens.refresh)
    session_services.now += timedelta(days=5)
    with pytest.raises(NotRefreshed):
        session_services.refresh(tokens.refresh)


def test_idle_session_expires_after_a_week(session_services, alice, engine):
    tokens = session_services.log_in(alice.build_login())
    session_services.now += timedelta(days=7)
    with pytest.raises(NotRefreshed):
        session_services.refresh(tokens.refresh)
    assert list_audit_entries(engine) == ["login.succeeded"]  # nothing was stolen


def test_disabled_user_cannot_refresh(session_services, alice, engine):
    tokens = session_services.log_in(alice.build_login())
    execute(engine, "UPDATE users SET status = 'disabled' WHERE id = :id", id=alice.user_id)
    with pytest.raises(NotRefreshed):
        session_services.refresh(tokens.refresh)
    execute(engine, "UPDATE users SET status = 'active' WHERE id = :id", id=alice.user_id)
    assert session_services.refresh(tokens.refresh)


def test_refresh_in_a_suspended_tenant_names_the_reason(session_services, alice, engine):
    tokens = session_services.log_in(alice.build_login())
    execute(engine, "UPDATE tenants SET status = 'suspended' WHERE id = :id", id=alice.tenant_id)
    with pytest.raises(TenantSuspended):
        session_services.refresh(tokens.refresh)


def test_malformed_refresh_token_causes_no_database_query(session_services, alice, monkeypatch):
    async def run_nothing(_):
        raise AssertionError("asked the database")

    tokens = session_services.log_in(alice.build_login())
    monkeypatch.setattr(session_services.transactions, "run", run_nothing)
    for token in (tokens.access, tokens.refresh[:-1], tokens.refresh + "x", "", "x" * 100_000):
        with pytest.raises(NotRefreshed):
            session_services.refresh(token)


def test_refresh_token_of_an_unknown_session_is_rejected(session_services):
    with pytest.raises(NotRefreshed):
        session_services.refresh(create_refresh_token("0" * 32, 0, RING))


def test_refresh_token_of_an_unissued_generation_ends_the_session(session_services, alice, engine):
    tokens = session_services.log_in(alice.build_login())
    with pytest.raises(NotRefreshed):
        session_services.refresh(create_refresh_token(verify_refresh_token(tokens.refresh, RING)[0], 9, RING))
    assert read_end_reason(engine) == ["refresh token used twice"]


@pytest.mark.parametrize("winner", [LAPTOP, THIEF])
def test_losing_concurrent_refresh_is_evaluated_after_the_winner(
    session_services, alice, engine, monkeypatch, winner
):
    tokens = session_services.log_in(alice.build_login())
    advance = queries.advance_session

    def be_late(connection, session_id, generation, _, now):
        advance(connection, session_id, generation, winner.hash, now)
        return advance(connection, session_id, generation, LAPTOP.hash, now)

    monkeypatch.setattr(queries, "advance_session", be_late)
    if winner is LAPTOP:
        assert verify_refresh_token(session_services.refresh(tokens.refresh).refresh, RING)[1] == 1
        assert read_end_reason(engine) == [None]
    else:
        with pytest.raises(NotRefreshed):
            session_services.refresh(tokens.refresh)
        assert read_end_reason(engine) == ["refresh token used twice"]
