"""The format of API keys: malformed and mistyped keys are rejected."""

import random
import secrets
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.identity.rules.access import expand_scopes
from app.identity.rules.keys import (
    ALPHABET,
    KEY_LENGTH,
    SECRET_LENGTH,
    StoredKey,
    generate_key,
    get_environment_key_id,
    hash_key,
    is_valid_key,
    parse_key_id,
)
from tests.factories import NOON

KEY = generate_key(random.Random(1).choice)


def build_stored_key(**changes):
    fields: dict[str, Any] = {
        "key_id": "0" * 12,
        "tenant_id": 1,
        "name": "k",
        "secret_hash": hash_key(KEY),
        "scopes": "read",
    }
    return StoredKey(**(fields | {"expires_at": None, "revoked_at": None} | changes))


@given(st.randoms(use_true_random=False))
def test_key_has_its_format_and_contains_its_id(source: random.Random):
    key = generate_key(source.choice)
    assert key.startswith("oms_")
    assert len(key) == KEY_LENGTH
    assert parse_key_id(key) == key[4:16]


def test_key_has_at_least_178_random_bits():
    assert len(ALPHABET) ** SECRET_LENGTH >= 2**178
    assert len({generate_key(secrets.choice) for _ in range(1000)}) == 1000


@given(st.integers(0, KEY_LENGTH - 1), st.characters())
def test_mistyped_key_is_rejected(at, character):
    mistyped = KEY[:at] + character + KEY[at + 1 :]
    assert (parse_key_id(mistyped) is None) == (mistyped != KEY)


@pytest.mark.parametrize(
    "key", ["", "oms_", KEY[:-1], KEY + "a", KEY.upper(), " " + KEY[1:], "smo_" + KEY[4:], "é" * KEY_LENGTH]
)
def test_malformed_key_is_rejected(key):
    assert parse_key_id(key) is None


def test_swapped_adjacent_characters_are_detected():
    for at in range(17, KEY_LENGTH - 1):
        swapped = KEY[:at] + KEY[at + 1] + KEY[at] + KEY[at + 2 :]
        assert swapped == KEY or parse_key_id(swapped) is None


@pytest.mark.parametrize(
    ("scopes", "granted"),
    [
        ("read", {"read"}),
        ("trade", {"trade", "read"}),
        ("admin", {"admin", "trade", "read", "approve", "risk", "act_as", "bot"}),
        ("approve", {"approve", "read"}),
        ("risk", {"risk", "read"}),
        ("act_as", {"act_as"}),
        ("bot", {"bot"}),
        ("read  trade", {"trade", "read"}),
    ],
)
def test_wider_scope_includes_the_narrower(scopes, granted):
    assert expand_scopes(scopes.split()) == granted


@pytest.mark.parametrize("scopes", ["", " ", "write", "read,trade", "READ"])
def test_unknown_scopes_are_rejected(scopes):
    with pytest.raises(ValueError, match=r"."):
        expand_scopes(scopes.split())


@pytest.mark.parametrize(
    ("changes", "counts"),
    [
        ({}, True),
        ({"secret_hash": hash_key(KEY + "x")}, False),
        ({"revoked_at": NOON - timedelta(days=1)}, False),
        ({"revoked_at": NOON + timedelta(days=1)}, False),
        ({"expires_at": NOON + timedelta(microseconds=1)}, True),
        ({"expires_at": NOON}, False),
    ],
)
def test_key_is_valid_until_revoked_or_expired(changes, counts):
    assert is_valid_key(build_stored_key(**changes), KEY, NOON) == counts


def test_key_of_the_environment_has_an_id_in_any_format():
    assert get_environment_key_id(KEY) == parse_key_id(KEY)
    assert (
        get_environment_key_id("a" * 40)
        == get_environment_key_id("a" * 40)
        != get_environment_key_id("b" * 40)
    )
