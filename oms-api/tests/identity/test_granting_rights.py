"""The services, and not only the routes, refuse to grant rights that the caller does not have."""

import asyncio
from dataclasses import replace

import pytest

from app.clock import utc_now
from app.database import set_tenant_scope, unit_of_work
from app.database.transactions import Transactions
from app.identity.errors import RightsExceeded
from app.identity.queries.users import UserFilter, list_users
from app.identity.rules.access import Caller, Role, Scope
from app.identity.rules.administration import NewKey, NewUser, Rotation, UserChanges
from app.identity.service import api_keys, users
from app.identity.service.change_executor import ChangeExecutor, ChangeRequest
from app.identity.service.passwords import Passwords

pytestmark = pytest.mark.any_database

LESSER = Caller(1, "k", "lesser", frozenset({Scope.ADMIN, Scope.READ, Scope.TRADE}))
NARROW = replace(LESSER, scopes=frozenset(Scope), portfolios=frozenset({"growth"}))


def run_in_transaction(engine, work):
    with unit_of_work(engine) as connection:
        return work(set_tenant_scope(connection, [1]))


@pytest.fixture
def change_executor(engine):
    transactions, passwords = Transactions(engine), Passwords()
    yield ChangeExecutor(transactions, passwords, ["s" * 32], utc_now)
    passwords.close()
    transactions.close()


@pytest.mark.parametrize(
    ("caller", "requested"),
    [
        (LESSER, NewKey("k", frozenset({Scope.RISK}))),
        (LESSER, NewKey("k", frozenset({Scope.ADMIN}))),
        (NARROW, NewKey("k", frozenset({Scope.READ}))),
        (NARROW, NewKey("k", frozenset({Scope.READ}), portfolios=("Macro",))),
    ],
)
def test_key_cannot_have_more_rights_than_its_creator(engine, caller, requested):
    with pytest.raises(RightsExceeded):
        run_in_transaction(
            engine,
            lambda connection: api_keys.create_key(
                connection, ChangeRequest(caller, "t"), requested, utc_now()
            ),
        )


def test_caller_with_fewer_rights_cannot_rotate_a_key(engine):
    everything = Caller(1, "k", "all", frozenset(Scope))
    new_key = NewKey("k", frozenset({Scope.RISK}))
    body = run_in_transaction(
        engine,
        lambda connection: api_keys.create_key(
            connection, ChangeRequest(everything, "t"), new_key, utc_now()
        ),
    ).body
    with pytest.raises(RightsExceeded):
        run_in_transaction(
            engine,
            lambda connection: api_keys.rotate_key(
                connection, ChangeRequest(LESSER, "t"), body["key_id"], Rotation(60), utc_now()
            ),
        )


@pytest.mark.parametrize(
    ("caller", "requested"),
    [
        (LESSER, NewUser("A", Role.ADMIN, person="slack:T1:U1")),
        (LESSER, NewUser("A", Role.RISK, person="slack:T1:U1")),
        (NARROW, NewUser("A", Role.VIEWER, person="slack:T1:U1")),
    ],
)
def test_user_cannot_have_more_rights_than_their_creator(change_executor, caller, requested):
    with pytest.raises(RightsExceeded):
        asyncio.run(users.create_user(change_executor, ChangeRequest(caller, "t"), requested))


def test_caller_with_fewer_rights_cannot_promote_or_change_higher_users(engine, change_executor):
    everything = ChangeRequest(Caller(1, "k", "all", frozenset(Scope)), "t")
    for role, person in ((Role.TRADER, "slack:T1:U1"), (Role.ADMIN, "slack:T1:U2")):
        asyncio.run(users.create_user(change_executor, everything, NewUser("A", role, person=person)))
    body = run_in_transaction(engine, _group_by_role)
    refused: list[tuple[str, UserChanges]] = [
        ("trader", {"role": "admin"}), ("admin", {"status": "disabled"}), ("admin", {"role": "viewer"}),
    ]  # fmt: skip
    for rights, changes in refused:
        with pytest.raises(RightsExceeded):
            asyncio.run(users.update_user(change_executor, ChangeRequest(LESSER, "t"), body[rights], changes))
    asyncio.run(
        users.update_user(change_executor, ChangeRequest(LESSER, "t"), body["trader"], {"role": "viewer"})
    )


def _group_by_role(connection):
    return {row.role: row for row in list_users(connection, 1, UserFilter(), 10, None)}
