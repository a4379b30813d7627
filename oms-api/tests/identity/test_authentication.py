"""Authentication: no query for an invalid key, and revocation within a second in every process."""

import asyncio
import random
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import text

from app.database import unit_of_work
from app.identity.errors import KeyNameTaken, NoSuchKey, NoValidKey
from app.identity.rules.access import Scope
from app.identity.rules.keys import StoredKey, generate_key, get_environment_key_id, hash_key, parse_key_id
from app.identity.service.authenticator import BOOTSTRAP, Authenticator, list_environment_keys
from app.identity.service.keys import revoke_key, store_new_key
from tests.factories import BOOTSTRAP_KEY, NOON
from tests.support.service import ApiClient, run_service

KEY = generate_key(random.Random(1).choice)
BOT_KEY = "b" * 40


class AuthenticatorHarness:
    """An authenticator over a store of one key, with clocks that are set by hand."""

    def __init__(self, monkeypatch) -> None:
        self.stored_key: StoredKey | None = StoredKey(
            parse_key_id(KEY) or "", 3, "desk", hash_key(KEY), "trade", None, None
        )
        self.looked_up: list[str] = []
        self.uses: list[object] = []
        self.now = NOON
        self.seconds = 100.0
        monkeypatch.setattr("app.identity.service.authenticator.monotonic_seconds", lambda: self.seconds)
        self.authenticator = Authenticator(
            list_environment_keys((BOOTSTRAP_KEY,), BOT_KEY),
            self.find,
            lambda *use: self.uses.append(use),
            lambda: self.now,
        )

    async def find(self, key_id: str) -> StoredKey | None:
        self.looked_up.append(key_id)
        return self.stored_key

    def call(self, key: str | None):
        return asyncio.run(self.authenticator.authenticate(key))


@pytest.fixture
def harness(monkeypatch):
    return AuthenticatorHarness(monkeypatch)


def test_stored_key_identifies_tenant_name_and_scopes(harness):
    caller = harness.call(KEY)
    assert (caller.tenant_id, caller.name, caller.scopes) == (3, "desk", {Scope.TRADE, Scope.READ})


def test_key_of_the_bot_in_the_environment_acts_for_people_and_has_no_other_rights(harness):
    caller = harness.call(BOT_KEY)
    assert (caller.tenant_id, caller.name, caller.scopes) == (1, "slack-bot", {Scope.ACT_AS, Scope.BOT})
    assert caller.key_id == get_environment_key_id(BOT_KEY)
    assert harness.call(BOOTSTRAP_KEY) == BOOTSTRAP
    assert harness.looked_up == []


def test_id_of_a_key_in_the_environment_is_the_one_that_the_bot_states():
    """The bot's own test expects the same id for the same key."""
    assert (get_environment_key_id("k" * 40), get_environment_key_id(KEY)) == (
        "dc4c5d17d972",
        parse_key_id(KEY),
    )


@pytest.mark.parametrize(
    "key", [None, "", "x" * 62, KEY[:-1] + ("a" if KEY[-1] != "a" else "b"), BOOTSTRAP_KEY + "x"]
)
def test_malformed_key_causes_no_database_query(harness, key):
    with pytest.raises(NoValidKey):
        harness.call(key)
    assert harness.looked_up == []


def test_bootstrap_key_is_admin_of_the_first_tenant_without_a_query(harness):
    assert harness.call(BOOTSTRAP_KEY) == BOOTSTRAP
    assert (BOOTSTRAP.tenant_id, BOOTSTRAP.scopes) == (1, frozenset(Scope))
    assert harness.looked_up == []


def test_valid_key_is_cached_for_half_a_second(harness):
    for _ in range(5):
        harness.call(KEY)
    harness.seconds += 0.499
    harness.call(KEY)
    assert len(harness.looked_up) == 1
    harness.seconds += 0.001
    harness.call(KEY)
    assert len(harness.looked_up) == 2


def test_revoked_key_is_rejected_within_a_second(harness):
    harness.call(KEY)
    harness.stored_key = replace(harness.stored_key, revoked_at=NOON)
    harness.seconds += 0.5
    with pytest.raises(NoValidKey):
        harness.call(KEY)


def test_rejected_key_is_not_cached(harness):
    stored_key, harness.stored_key = harness.stored_key, None
    with pytest.raises(NoValidKey):
        harness.call(KEY)
    harness.stored_key = stored_key
    assert harness.call(KEY).name == "desk"


def test_expired_key_is_rejected(harness):
    harness.stored_key = replace(harness.stored_key, expires_at=NOON + timedelta(hours=1))
    assert harness.call(KEY)
    harness.now += timedelta(hours=1)
    harness.seconds += 1
    with pytest.raises(NoValidKey):
        harness.call(KEY)


def test_key_use_is_recorded_once_a_minute(harness):
    for _ in range(3):
        harness.seconds += 1
        harness.call(KEY)
    assert len(harness.uses) == 1
    harness.now += timedelta(minutes=1)
    harness.seconds += 1
    harness.call(KEY)
    assert [use[1] for use in harness.uses] == [NOON, NOON + timedelta(minutes=1)]


def test_key_cache_size_is_bounded(harness, monkeypatch):
    monkeypatch.setattr("app.identity.service.authenticator._MAX_CACHED", 1)
    other = generate_key(random.Random(2).choice)
    harness.call(KEY)
    harness.stored_key = StoredKey(parse_key_id(other) or "", 4, "other", hash_key(other), "read", None, None)
    assert harness.call(other).name == "other"


def test_key_names_are_never_reused(engine):
    with unit_of_work(engine) as connection:
        store_new_key(connection, "bot", "trade", NOON)
        revoke_key(connection, "bot", NOON)
        with pytest.raises(KeyNameTaken):
            store_new_key(connection, "bot", "read", NOON)
        with pytest.raises(NoSuchKey):
            revoke_key(connection, "bot", NOON)


def test_only_the_hash_of_the_secret_is_stored(engine):
    with unit_of_work(engine) as connection:
        key = store_new_key(connection, "bot", "trade", NOON)
    with engine.connect() as connection:
        row = connection.execute(text("SELECT * FROM api_keys")).one()
    assert bytes(row.secret_hash) == hash_key(key)
    assert key[17:] not in str(row)
    assert row.scopes == "read trade"


def test_key_revoked_in_one_process_is_rejected_by_the_others(serve, monkeypatch):
    seconds = [0.0]
    monkeypatch.setattr("app.identity.service.authenticator.monotonic_seconds", lambda: seconds[0])
    with serve() as first, run_service(first.database_url) as second:
        api = first.create_client()
        there = ApiClient(second, api.tenant_id, api.key)
        assert (api.get("/portfolios").status_code, there.get("/portfolios").status_code) == (200, 200)
        with unit_of_work(first.engine) as connection:
            connection.execute(text("UPDATE api_keys SET revoked_at = created_at"))
        seconds[0] += 0.99
        assert (api.get("/portfolios").status_code, there.get("/portfolios").status_code) == (401, 401)


def test_last_use_of_a_key_is_recorded(serve):
    with serve() as service:
        service.create_client().get("/portfolios")
    with service.engine.connect() as connection:
        assert connection.execute(text("SELECT last_used_at FROM api_keys")).scalar_one() is not None
