"""A rotated key and its successor have the same name and rights, and are both valid for a time."""

import pytest

from tests.identity.administration import (
    SOON,
    assert_error,
    assert_ok,
    create_key,
    list_audit_entries,
)


def test_rotation_creates_a_key_with_the_same_name_and_rights(timed_api, clock):
    timed_api.record_trade(portfolio_name="Growth")
    old = create_key(timed_api, "bot", ("trade",), portfolios=["Growth"])
    new = assert_ok(timed_api.post(f"/api-keys/{old['key_id']}:rotate", {"overlap_seconds": 60}), 201)
    assert new["key"] != old["key"]
    same = ("name", "scopes", "portfolios", "expires_at", "state")
    assert [new[name] for name in same] == [old[name] for name in same]
    assert new["rotated_from"] == old["key_id"]
    retired = assert_ok(timed_api.get(f"/api-keys/{old['key_id']}"))
    assert retired["name"] == f"bot~{old['key_id']}"
    assert retired["expires_at"] == "2026-11-20T12:01:00.000000Z"
    clock.pass_by(seconds=59)
    assert timed_api.with_key(old["key"]).get("/portfolios").status_code == 200
    clock.pass_by(seconds=1)
    assert timed_api.with_key(old["key"]).get("/portfolios").status_code == 401
    assert assert_ok(timed_api.with_key(new["key"]).get("/portfolios")) == ["Growth"]
    assert timed_api.with_key(new["key"]).record_trade(portfolio_name="Growth")["source"] == "bot"


def test_rotation_is_audited_without_the_secret(api):
    old = create_key(api)
    new = assert_ok(api.post(f"/api-keys/{old['key_id']}:rotate", {}), 201)
    entry = list_audit_entries(api)[0]
    assert (entry["action"], entry["target"], entry["before"]) == (
        *("key.rotated", "key:bot", {"key_id": old["key_id"]}),
    )
    assert (entry["after"]["key_id"], new["key"][17:] in str(list_audit_entries(api))) == (
        new["key_id"],
        False,
    )


def test_rotation_never_extends_the_old_key(timed_api):
    old = create_key(timed_api, expires_at="2026-11-20T12:10:00Z")
    new = assert_ok(timed_api.post(f"/api-keys/{old['key_id']}:rotate", {"expires_at": SOON}), 201)
    assert (
        assert_ok(timed_api.get(f"/api-keys/{old['key_id']}"))["expires_at"] == "2026-11-20T12:10:00.000000Z"
    )
    assert new["expires_at"] == "2036-01-01T00:00:00.000000Z"


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"overlap_seconds": -1}, "overlap_seconds"),
        ({"overlap_seconds": 604_801}, "overlap_seconds"),
        ({"overlap_seconds": 1.5}, "overlap_seconds"),
        ({"overlap_seconds": True}, "overlap_seconds"),
        ({"overlap_seconds": "60"}, "overlap_seconds"),
        ({"scopes": ["admin"]}, "scopes"),
        ({"expires_at": "2020-01-01T00:00:00Z"}, "expires_at"),
    ],
)
def test_invalid_rotation_is_rejected(api, body, field):
    assert_error(api.post(f"/api-keys/{create_key(api)['key_id']}:rotate", body), 422, field)


def test_expired_or_rotated_key_cannot_be_rotated(timed_api, clock):
    old = create_key(timed_api)
    assert_ok(timed_api.post(f"/api-keys/{old['key_id']}:rotate", {"overlap_seconds": 604_800}), 201)
    assert assert_error(timed_api.post(f"/api-keys/{old['key_id']}:rotate", {}), 409) == "conflict"
    brief = create_key(timed_api, "brief", expires_at="2026-11-20T12:10:00Z")
    clock.pass_by(minutes=10)
    assert assert_error(timed_api.post(f"/api-keys/{brief['key_id']}:rotate", {}), 409) == "conflict"
    gone = create_key(timed_api, "gone")
    assert_ok(timed_api.patch(f"/api-keys/{gone['key_id']}", {"revoked": True}))
    assert assert_error(timed_api.post(f"/api-keys/{gone['key_id']}:rotate", {}), 409) == "conflict"


def test_expiring_caller_cannot_rotate_to_a_longer_lifetime(api):
    eternal = create_key(api)
    limited = api.with_key(create_key(api, "limited", ("admin",), expires_at=SOON)["key"])
    assert assert_error(limited.post(f"/api-keys/{eternal['key_id']}:rotate", {}), 403) == "too-broad"
    body = {"expires_at": "2035-01-01T00:00:00Z"}
    assert_ok(limited.post(f"/api-keys/{eternal['key_id']}:rotate", body), 201)
