"""The content of an entry: values as canonical JSON, without secrets and control characters."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from app.audit.rules.entries import MAX_VALUES_LENGTH, InvalidAuditValues, serialize_values, truncate_entry
from tests.audit.entries import build_entry


def test_values_are_canonical_json():
    fields = {"role": "trader", "portfolios": ["Growth", "Zürich"], "active": True, "limit": 3, "email": None}
    written = '{"active":true,"email":null,"limit":3,"portfolios":["Growth","Zürich"],"role":"trader"}'
    assert serialize_values(fields) == written
    assert serialize_values(dict(reversed(fields.items()))) == written


def test_missing_values_are_stored_as_null():
    assert serialize_values(None) is None


SECRETS = [
    *("password", "new_password", "passwordHash", "secret", "client-secret", "key", "api_key", "apikey"),
    *("APIKey", "keys", "token", "refresh_tokens", "accessToken", "hash", "request_hash", "hashes"),
    *("credentials", "Signature", "cookie"),
]


@pytest.mark.parametrize("name", SECRETS)
@pytest.mark.parametrize("side", ["before", "after"])
def test_fact_with_a_secret_like_name_is_rejected(name, side):
    with pytest.raises(InvalidAuditValues, match=name):
        build_entry(**{side: {name: "x"}})


@pytest.mark.parametrize(
    "values", [{"a": {"token": 1}}, {"a": [{"token": 1}]}, {"a": ({"b": {"key": None}},)}]
)
def test_secrets_are_found_at_any_depth(values):
    with pytest.raises(InvalidAuditValues):
        build_entry(after=values)


@pytest.mark.parametrize(
    "name", ["key_id", "password_changed_at", "keyId", "token_name", "role", "scopes", "expires_at", "7", ""]
)
def test_fact_about_a_secret_without_its_value_is_accepted(name):
    assert build_entry(after={name: "x"}).after == {name: "x"}


@pytest.mark.parametrize(
    "value",
    [
        "oms_" + "a1" * 20,
        "it is oms_" + "Zz9" * 12,
        "Bearer eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.x",
        "$argon2id$v=19$m=19456",
        "-----BEGIN PRIVATE" + " KEY-----",
    ],
)
def test_secret_like_value_is_rejected_under_any_name(value):
    with pytest.raises(InvalidAuditValues, match="note"):
        build_entry(after={"note": value})


@pytest.mark.parametrize(
    "value", [1.5, Decimal(1), datetime(2026, 1, 1, tzinfo=UTC), {1, 2}, b"x", float("nan"), 2**64, "\ud800"]
)
def test_values_without_a_canonical_form_are_rejected(value):
    with pytest.raises(InvalidAuditValues):
        build_entry(before={"value": value})


def test_fact_names_must_be_text():
    with pytest.raises(InvalidAuditValues, match="1 is not a name"):
        build_entry(before={1: "x"})


def test_size_of_values_is_limited():
    build_entry(after={"note": "x" * (MAX_VALUES_LENGTH - len('{"note":""}'))})
    with pytest.raises(InvalidAuditValues, match="more than"):
        build_entry(after={"note": "x" * MAX_VALUES_LENGTH})


def test_long_text_is_truncated_with_a_mark():
    long = "x" * 500
    cut = truncate_entry(
        build_entry(actor=long, via=long, action=long, target=long, address=long, request_id=long)
    )
    lengths = {"actor": 300, "via": 100, "action": 60, "target": 400, "address": 60, "request_id": 100}
    for name, length in lengths.items():
        assert getattr(cut, name) == "x" * (length - 1) + "…"
    fits = build_entry(target="x" * 400)
    assert truncate_entry(fits) is fits


def test_control_characters_are_replaced():
    odd = truncate_entry(build_entry(target="a\0b\u202ec\nd\ud800e", address=None))
    assert odd.target == "a\N{REPLACEMENT CHARACTER}b\N{REPLACEMENT CHARACTER}c" + (
        "\N{REPLACEMENT CHARACTER}d\N{REPLACEMENT CHARACTER}e"
    )
    assert odd.address is None
