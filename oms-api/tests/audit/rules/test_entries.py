"""The content of an entry: facts as canonical JSON, without secrets and control characters."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from app.audit.rules.entries import MAX_FACTS, InvalidFacts, serialize_facts, truncate_entry
from tests.audit.entries import entry


def test_facts_are_written_with_sorted_names_and_no_blanks():
    facts = {"role": "trader", "portfolios": ["Growth", "Zürich"], "active": True, "limit": 3, "email": None}
    written = '{"active":true,"email":null,"limit":3,"portfolios":["Growth","Zürich"],"role":"trader"}'
    assert serialize_facts(facts) == written
    assert serialize_facts(dict(reversed(facts.items()))) == written


def test_no_facts_are_no_text():
    assert serialize_facts(None) is None


SECRETS = [
    *("password", "new_password", "passwordHash", "secret", "client-secret", "key", "api_key", "apikey"),
    *("APIKey", "keys", "token", "refresh_tokens", "accessToken", "hash", "request_hash", "hashes"),
    *("credentials", "Signature", "cookie"),
]


@pytest.mark.parametrize("name", SECRETS)
@pytest.mark.parametrize("side", ["before", "after"])
def test_what_is_named_like_a_secret_is_refused(name, side):
    with pytest.raises(InvalidFacts, match=name):
        entry(**{side: {name: "x"}})


@pytest.mark.parametrize(
    "facts", [{"a": {"token": 1}}, {"a": [{"token": 1}]}, {"a": ({"b": {"key": None}},)}]
)
def test_secrets_are_found_at_any_depth(facts):
    with pytest.raises(InvalidFacts):
        entry(after=facts)


@pytest.mark.parametrize(
    "name", ["key_id", "password_changed_at", "keyId", "token_name", "role", "scopes", "expires_at", "7", ""]
)
def test_what_tells_of_a_secret_without_giving_it_away_is_welcome(name):
    assert entry(after={name: "x"}).after == {name: "x"}


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
def test_what_reads_like_a_secret_is_refused_under_any_name(value):
    with pytest.raises(InvalidFacts, match="note"):
        entry(after={"note": value})


@pytest.mark.parametrize(
    "value", [1.5, Decimal(1), datetime(2026, 1, 1, tzinfo=UTC), {1, 2}, b"x", float("nan"), 2**64, "\ud800"]
)
def test_values_that_have_no_one_spelling_are_refused(value):
    with pytest.raises(InvalidFacts):
        entry(before={"value": value})


def test_names_are_text():
    with pytest.raises(InvalidFacts, match="1 is no name"):
        entry(before={1: "x"})


def test_facts_have_a_size():
    entry(after={"note": "x" * (MAX_FACTS - len('{"note":""}'))})
    with pytest.raises(InvalidFacts, match="more than"):
        entry(after={"note": "x" * MAX_FACTS})


def test_texts_are_cut_with_a_sign_where_they_are_too_long():
    long = "x" * 500
    cut = truncate_entry(entry(actor=long, via=long, action=long, target=long, address=long, request_id=long))
    lengths = {"actor": 300, "via": 100, "action": 60, "target": 400, "address": 60, "request_id": 100}
    for name, length in lengths.items():
        assert getattr(cut, name) == "x" * (length - 1) + "…"
    fits = entry(target="x" * 400)
    assert truncate_entry(fits) is fits


def test_characters_that_no_screen_shows_are_replaced():
    odd = truncate_entry(entry(target="a\0b\u202ec\nd\ud800e", address=None))
    assert odd.target == "a\N{REPLACEMENT CHARACTER}b\N{REPLACEMENT CHARACTER}c" + (
        "\N{REPLACEMENT CHARACTER}d\N{REPLACEMENT CHARACTER}e"
    )
    assert odd.address is None
