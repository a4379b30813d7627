"""Sessions: a token has the rights of its user's role, and loses them within a second after the end."""

import asyncio
from datetime import timedelta

import pytest
from sqlalchemy import event, insert, text
from sqlalchemy.exc import IntegrityError, OperationalError

from app.database import connect_engine, set_tenant_scope, unit_of_work
from app.database.transactions import Transactions
from app.errors import Unavailable
from app.identity.errors import NoValidKey, TenantSuspended
from app.identity.models import PortfolioGrant
from app.identity.queries import sessions as queries
from app.identity.rules.access import SCOPES_OF_ROLE, Caller, Role, Scope
from app.identity.rules.tokens import sign_access_token, verify_access_token
from app.identity.service.sessions import NoSession, NotRefreshed
from app.ledger.models import Portfolio
from app.money import ZERO
from tests.factories import NOON
from tests.support.people import LAPTOP, RING, THIEF, create_person, execute, run_session_services

pytestmark = pytest.mark.any_database


@pytest.fixture
def monotonic_clock(monkeypatch):
    """Provide the monotonic clock, which the test sets by hand."""
    clock = [100.0]
    for module in ("sessions", "authenticator"):
        monkeypatch.setattr(f"app.identity.service.{module}.monotonic_seconds", lambda: clock[0])
    return clock


def log_out(services, caller, client=LAPTOP):
    asyncio.run(services.sessions.log_out(caller, client))


def count_statements(services, work):
    """Return the result of the function, and the number of its statements."""
    statements = []

    def listen(*arguments):
        statements.append(arguments[2])

    event.listen(services.engine, "before_cursor_execute", listen)
    try:
        return work(), len([statement for statement in statements if statement != "BEGIN"])
    finally:
        event.remove(services.engine, "before_cursor_execute", listen)


@pytest.mark.parametrize("role", Role)
def test_access_token_has_the_rights_of_its_role(session_services, engine, role):
    person = create_person(engine, role=role.value, email=f"{role}@x")
    caller = session_services.caller(session_services.log_in(person.build_login()).access)
    assert (caller.tenant_id, caller.user_id, caller.person) == (
        person.tenant_id,
        person.user_id,
        person.email,
    )
    assert (caller.role, caller.scopes) == (role, SCOPES_OF_ROLE[role])
    assert (caller.name, caller.actor, caller.portfolios) == ("session", person.email, None)
    assert caller.key_id.startswith("session:")


def test_restricted_user_sees_only_granted_portfolios(session_services, alice, engine, monotonic_clock):
    token = session_services.log_in(alice.build_login()).access
    execute(engine, "UPDATE users SET is_narrowed = true WHERE id = :id", id=alice.user_id)
    assert session_services.caller(token).portfolios == frozenset()
    with unit_of_work(engine) as connection:
        add_portfolio(connection, alice.tenant_id, "growth")
        grant = insert(PortfolioGrant).values(
            tenant_id=alice.tenant_id, user_id=alice.user_id, portfolio_key="growth"
        )
        connection.execute(grant)
    monotonic_clock[0] += 0.5
    assert session_services.caller(token).portfolios == {"growth"}


def add_portfolio(connection, tenant_id, name):
    amounts = dict.fromkeys(("opening_cash", "cash", "realized_pnl"), ZERO)
    counts = dict.fromkeys(("total_trades", "total_buys", "last_sequence"), 0)
    fields = {
        "base_currency": "USD",
        "kind": "paper",
        "last_hash": "0" * 64,
        "created_at": NOON,
        **amounts,
        **counts,
    }
    connection.execute(insert(Portfolio).values(tenant_id=tenant_id, name=name, name_key=name, **fields))


def test_access_token_is_valid_for_fifteen_minutes(session_services, alice):
    tokens = session_services.log_in(alice.build_login())
    assert tokens.expires_in == 900
    session_services.now += timedelta(minutes=14, seconds=59)
    assert session_services.caller(tokens.access)
    session_services.now += timedelta(seconds=1)
    for _ in range(2):
        with pytest.raises(NoValidKey):
            session_services.caller(tokens.access)


def test_access_token_expiry_is_in_whole_seconds(session_services, alice):
    session_services.now += timedelta(milliseconds=700)
    tokens = session_services.log_in(alice.build_login())
    expires_at = verify_access_token(tokens.access, RING, session_services.now).expires_at
    assert expires_at == NOON + timedelta(minutes=15)


def test_session_is_queried_at_most_twice_a_second(session_services, alice, monotonic_clock):
    token = session_services.log_in(alice.build_login()).access
    assert count_statements(session_services, lambda: session_services.caller(token))[1] == 2
    assert (
        count_statements(session_services, lambda: [session_services.caller(token) for _ in range(100)])[1]
        == 0
    )
    monotonic_clock[0] += 0.5
    assert count_statements(session_services, lambda: session_services.caller(token))[1] == 2


def test_tokens_of_one_session_share_the_cache(session_services, alice, monotonic_clock):
    first = session_services.log_in(alice.build_login())
    second = session_services.refresh(first.refresh)
    session_services.caller(first.access)
    assert count_statements(session_services, lambda: session_services.caller(second.access))[1] == 0


def test_logout_applies_in_its_process_immediately_and_in_others_within_a_second(
    database_url, alice, monotonic_clock
):
    with run_session_services(database_url, 2) as (here, there):
        tokens = here.log_in(alice.build_login())
        assert here.caller(tokens.access)
        assert there.caller(tokens.access)
        log_out(here, here.caller(tokens.access))
        with pytest.raises(NoValidKey):
            here.caller(tokens.access)
        monotonic_clock[0] += 0.5
        with pytest.raises(NoValidKey):
            there.caller(tokens.access)
        with pytest.raises(NotRefreshed):
            there.refresh(tokens.refresh)


def test_repeated_logout_is_audited_once(session_services, alice, engine):
    tokens = session_services.log_in(alice.build_login())
    caller = session_services.caller(tokens.access)
    log_out(session_services, caller)
    log_out(session_services, caller, THIEF)
    with engine.connect() as connection:
        rows = connection.execute(
            text("SELECT action, actor, address FROM audit_log ORDER BY sequence")
        ).all()
    assert [tuple(row) for row in rows] == [
        ("login.succeeded", "alice@x", LAPTOP.address),
        ("session.ended", "alice@x", LAPTOP.address),
    ]


def test_api_key_cannot_log_out(session_services):
    with pytest.raises(NoSession):
        log_out(session_services, Caller(1, "0" * 12, "bot", frozenset({Scope.READ})))


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ("UPDATE users SET status = 'disabled'", NoValidKey),
        ("UPDATE sessions SET revoked_at = created_at", NoValidKey),
        ("UPDATE sessions SET expires_at = created_at", NoValidKey),
        ("UPDATE tenants SET status = 'suspended'", TenantSuspended),
    ],
)
def test_every_session_end_applies_within_a_second(
    session_services, alice, engine, monotonic_clock, change, error
):
    token = session_services.log_in(alice.build_login()).access
    assert session_services.caller(token)
    execute(engine, change)
    monotonic_clock[0] += 0.5
    with pytest.raises(error):
        session_services.caller(token)


def test_changed_role_applies_within_a_second(session_services, alice, engine, monotonic_clock):
    token = session_services.log_in(alice.build_login()).access
    assert Scope.TRADE in session_services.caller(token).scopes
    execute(engine, "UPDATE users SET role = 'viewer'")
    monotonic_clock[0] += 0.5
    assert session_services.caller(token).scopes == {Scope.READ}


def test_all_sessions_of_a_user_end_together(session_services, alice, engine):
    bob = create_person(engine, alice.tenant_id, email="bob@x")
    sessions = [session_services.log_in(alice.build_login()) for _ in range(3)]
    his = session_services.log_in(bob.build_login())
    with unit_of_work(engine) as connection:
        set_tenant_scope(connection, [alice.tenant_id])
        ended = queries.revoke_sessions_of_user(
            connection, alice.tenant_id, alice.user_id, "new password", NOON
        )
    assert ended == 3
    for tokens in sessions:
        with pytest.raises(NotRefreshed):
            session_services.refresh(tokens.refresh)
    assert session_services.refresh(his.refresh)


def test_session_cannot_be_ended_by_another_tenant(session_services, alice, engine):
    other = create_person(engine)
    tokens = session_services.log_in(alice.build_login())
    session_id = session_services.caller(tokens.access).key_id.removeprefix("session:")
    with unit_of_work(engine) as connection:
        set_tenant_scope(connection, [other.tenant_id])
        assert not queries.revoke_session(connection, other.tenant_id, session_id, "why not", NOON)
        assert (
            queries.revoke_sessions_of_user(connection, other.tenant_id, alice.user_id, "why not", NOON) == 0
        )
    assert session_services.caller(tokens.access)


def test_token_with_the_session_of_another_user_is_rejected(session_services, alice, engine):
    mallory, bob = create_person(engine), create_person(engine, alice.tenant_id, email="bob@x")
    access = verify_access_token(session_services.log_in(alice.build_login()).access, RING, NOON)
    other_statuses = [
        (mallory.tenant_id, alice.user_id),
        (alice.tenant_id, mallory.user_id),
        (bob.tenant_id, bob.user_id),
    ]
    for tenant_id, user_id in other_statuses:
        forged = type(access)(tenant_id, user_id, access.session_id, access.expires_at)
        with pytest.raises(NoValidKey):
            session_services.caller(sign_access_token(forged, RING, NOON, "j"))


def test_token_of_an_unknown_session_is_rejected(session_services, alice):
    access = verify_access_token(session_services.log_in(alice.build_login()).access, RING, NOON)
    gone = type(access)(access.tenant_id, access.user_id, "0" * 32, access.expires_at)
    with pytest.raises(NoValidKey):
        session_services.caller(sign_access_token(gone, RING, NOON, "j"))


def test_malformed_token_causes_no_database_query(session_services, alice):
    tokens = session_services.log_in(alice.build_login())
    statements = []
    event.listen(session_services.engine, "before_cursor_execute", lambda *args: statements.append(args[2]))
    for token in ("", "x", "a.b.c", tokens.refresh, tokens.access + "x", "x" * 1_000_000, "\ud800"):
        with pytest.raises(NoValidKey):
            session_services.caller(token)
    assert statements == []


def test_token_cache_size_is_bounded(session_services, alice, monkeypatch):
    monkeypatch.setattr("app.identity.service.sessions._MAX_CACHED_SESSIONS", 2)
    tokens = [session_services.log_in(alice.build_login()).access for _ in range(5)]
    assert len({session_services.caller(token).key_id for token in tokens}) == 5
    assert len(session_services.sessions._claims_by_digest) <= 2


# Transactions


def test_unavailable_database_returns_503():
    engine = connect_engine("postgresql://nobody@127.0.0.1:1/nothing", readers=1)
    transactions = Transactions(engine)
    with pytest.raises(Unavailable):
        asyncio.run(transactions.run(lambda connection: connection.execute(text("SELECT 1"))))
    transactions.close()


@pytest.mark.parametrize(("times", "answered"), [(1, True), (2, False)])
def test_connection_lost_by_a_restart_is_retried_once(session_services, times, answered):
    losses = [OperationalError("SELECT", {}, Exception("gone"), connection_invalidated=True)] * times

    def work(connection):
        if losses:
            raise losses.pop()
        return connection.execute(text("SELECT 1")).scalar_one()

    if answered:
        assert asyncio.run(session_services.transactions.run(work)) == 1
    else:
        with pytest.raises(Unavailable):
            asyncio.run(session_services.transactions.run(work))


def test_unique_constraint_violation_is_not_retried(session_services, alice):
    def begin_twice(connection):
        set_tenant_scope(connection, [alice.tenant_id])
        for _ in range(2):
            owner = queries.UserKey(alice.tenant_id, alice.user_id)
            queries.add_session(connection, "a" * 32, owner, LAPTOP.hash, NOON, NOON)

    with pytest.raises(IntegrityError):
        asyncio.run(session_services.transactions.run(begin_twice))
