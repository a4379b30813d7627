"""Tokens: only those signed by one of the keys, for this service, of the right kind and not expired."""

import base64
import hashlib
import hmac
import json
from dataclasses import replace
from datetime import timedelta

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.identity.rules.tokens import (
    MAX_TOKEN_LENGTH,
    REFRESH_GRACE_PERIOD,
    AccessClaims,
    BadToken,
    RefreshDecision,
    SessionState,
    TokenKeys,
    build_key_ring,
    create_refresh_token,
    decide_refresh,
    derive_key,
    sign_access_token,
    verify_access_token,
    verify_refresh_token,
)
from tests.factories import NOON

MASTER = "a-master-key-of-the-installation-0001"
OLD, NEW = "old:" + "o" * 40, "new:" + "n" * 40
RING = build_key_ring(OLD, MASTER)
SESSION = "0123456789abcdef" * 2
ACCESS = AccessClaims(3, 7, SESSION, NOON + timedelta(minutes=15))
CLAIMS = {
    "iss": "slackoms",
    "aud": "slackoms-api",
    "sub": "7",
    "tid": 3,
    "sid": SESSION,
    "iat": int(NOON.timestamp()),
    "nbf": int(NOON.timestamp()),
    "exp": int(NOON.timestamp()) + 900,
    "jti": "j",
}
HEADER = {"typ": "at+jwt", "kid": "old"}
IDLE = timedelta(days=7)


def encode_part(value):
    text = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(text).rstrip(b"=").decode()


def forge_token(claims=None, header=None, secret=b"o" * 40):
    """Return a token that is put together by hand and whose signature is valid for the secret."""
    head = {"alg": "HS256"} | HEADER if header is None else header
    signed = f"{encode_part(head)}.{encode_part(CLAIMS if claims is None else claims)}"
    return f"{signed}.{encode_part(hmac.digest(secret, signed.encode(), hashlib.sha256))}"


def build_claims_without(name):
    return {key: value for key, value in CLAIMS.items() if key != name}


def assert_token_refused(token, ring=RING, now=NOON):
    with pytest.raises(BadToken):
        verify_access_token(token, ring, now)
    return True


# Access tokens


def test_signed_token_is_read_back():
    assert verify_access_token(sign_access_token(ACCESS, RING, NOON, "j"), RING, NOON) == ACCESS


def test_hand_made_token_equals_a_generated_one():
    assert verify_access_token(forge_token(), RING, NOON) == ACCESS
    access_token = sign_access_token(ACCESS, RING, NOON, "j")
    assert jwt.get_unverified_header(access_token) == {"alg": "HS256"} | HEADER
    assert jwt.decode(access_token, options={"verify_signature": False}) == CLAIMS


@pytest.mark.parametrize(
    "header",
    [
        {"alg": "none", **HEADER},
        {"alg": "None", **HEADER},
        {"alg": "HS384", **HEADER},
        {"alg": "RS256", **HEADER},
        {"alg": "hs256", **HEADER},
        {"alg": "HS256", "typ": "JWT", "kid": "old"},
        {"alg": "HS256", "typ": "rt+jwt", "kid": "old"},
        {"alg": "HS256", "kid": "old"},
        {"alg": "HS256", "typ": "at+jwt"},
        {"alg": "HS256", "typ": "at+jwt", "kid": "new"},
        {"alg": "HS256", "typ": "at+jwt", "kid": 1},
        {"alg": "HS256", "typ": "at+jwt", "kid": None},
        {"alg": "HS256", "typ": "at+jwt", "kid": "../../dev/null"},
        {"alg": "HS256", **HEADER, "jwk": {"kty": "oct", "k": encode_part(b"o" * 40)}},
        {"alg": "HS256", **HEADER, "jku": "https://keys.example.com/"},
        {"alg": "HS256", **HEADER, "x5u": "https://keys.example.com/"},
        {"alg": "HS256", **HEADER, "x5c": ["MIIB"]},
        {"alg": "HS256", **HEADER, "crit": ["exp"]},
        {"alg": "HS256", **HEADER, "b64": False},
        {"alg": "HS256", **HEADER, "zip": "DEF"},
        {"typ": "at+jwt", "kid": "old"},
        ["HS256"],
        "HS256",
        b"null",
        b"\xff",
        {},
    ],
)
def test_token_with_another_header_is_rejected(header):
    assert assert_token_refused(forge_token(header=header))


def test_token_without_a_signature_is_rejected():
    head = encode_part({"alg": "none", **HEADER})
    assert assert_token_refused(f"{head}.{encode_part(CLAIMS)}.")
    assert assert_token_refused(jwt.encode(CLAIMS, "", "none", HEADER))
    assert assert_token_refused(forge_token().rpartition(".")[0] + ".")


def test_token_signed_by_another_key_is_rejected():
    assert assert_token_refused(forge_token(secret=b"n" * 40))
    both = build_key_ring(f"{NEW},{OLD}", MASTER)
    assert assert_token_refused(forge_token(secret=b"n" * 40), both)
    assert assert_token_refused(forge_token(secret=RING.keys[0].refresh_secret))


@pytest.mark.parametrize("place", range(0, 240, 7))
def test_token_with_a_changed_character_is_rejected(place):
    token = forge_token()
    other = "A" if token[place] != "A" else "B"
    assert assert_token_refused(token[:place] + other + token[place + 1 :])


@pytest.mark.parametrize("name", CLAIMS)
def test_every_claim_is_required(name):
    assert assert_token_refused(forge_token(build_claims_without(name)))


@pytest.mark.parametrize(
    "changed",
    [
        {"iss": "another"},
        {"aud": "another"},
        {"aud": ["slackoms-api"]},
        {"aud": ["slackoms-api", "another"]},
        {"aud": None},
        {"sub": 7},
        {"sub": ""},
        {"sub": "-7"},
        {"sub": "٧"},
        {"sub": "7" * 30},
        {"tid": "3"},
        {"tid": 0},
        {"tid": True},
        {"tid": 3.0},
        {"tid": 2**70},
        {"sid": "short"},
        {"sid": 5},
        {"sid": SESSION.upper()},
        {"sid": None},
        {"exp": "soon"},
        {"exp": 1e400},
        {"exp": 2**60},
        {"exp": None},
        {"exp": int(NOON.timestamp()) + 900.5},
        {"nbf": "now"},
        {"nbf": int(NOON.timestamp()) + 6},
        {"iat": None},
        {"jti": 5},
    ],
)
def test_claim_of_another_value_or_type_is_rejected(changed):
    assert assert_token_refused(forge_token(CLAIMS | changed))


@pytest.mark.parametrize("claims", [[], "text", 5, None, b"\xff\xfe", b'{"iss":'])
def test_token_without_claims_is_rejected(claims):
    head = encode_part({"alg": "HS256"} | HEADER)
    signed = f"{head}.{encode_part(claims)}"
    assert assert_token_refused(
        f"{signed}.{encode_part(hmac.digest(b'o' * 40, signed.encode(), hashlib.sha256))}"
    )


def test_token_expires_exactly_at_its_lifetime():
    token = sign_access_token(ACCESS, RING, NOON, "j")
    assert verify_access_token(token, RING, ACCESS.expires_at - timedelta(seconds=1))
    assert assert_token_refused(token, now=ACCESS.expires_at)


def test_small_clock_difference_is_tolerated():
    token = sign_access_token(ACCESS, RING, NOON, "j")
    assert verify_access_token(token, RING, NOON - timedelta(seconds=5))
    assert assert_token_refused(token, now=NOON - timedelta(seconds=6))


def test_oversized_token_is_rejected_before_parsing(monkeypatch):
    def parse(*_, **__):
        raise AssertionError("parsed")

    monkeypatch.setattr(jwt, "get_unverified_header", parse)
    assert assert_token_refused("a" * 40 + "." + "b" * MAX_TOKEN_LENGTH + "." + "c" * 43)
    assert assert_token_refused("a." * 700 + "a")


@given(st.text(max_size=200))
def test_token_parser_handles_any_text(text):
    assert assert_token_refused(text)


@given(st.binary(max_size=60), st.binary(max_size=60))
def test_token_parser_handles_any_parts(head, claims):
    signed = f"{encode_part(head)}.{encode_part(claims)}"
    assert assert_token_refused(
        f"{signed}.{encode_part(hmac.digest(b'o' * 40, signed.encode(), hashlib.sha256))}"
    )


# Keys


def test_first_key_signs_and_all_keys_verify():
    before = sign_access_token(ACCESS, RING, NOON, "j")
    ring = build_key_ring(f"{NEW}, {OLD}", MASTER)
    assert verify_access_token(before, ring, NOON) == ACCESS
    assert jwt.get_unverified_header(sign_access_token(ACCESS, ring, NOON, "j"))["kid"] == "new"
    assert assert_token_refused(before, build_key_ring(NEW, MASTER))


def test_unnamed_key_gets_a_name_that_does_not_reveal_it():
    bare = "b" * 44
    (key,) = build_key_ring(bare, MASTER).keys
    assert key.secret == bare.encode()
    assert len(key.kid) == 12
    assert build_key_ring(bare, MASTER).keys == build_key_ring(bare, "x" * 40).keys


def test_missing_token_keys_are_derived_from_both_master_keys():
    token = sign_access_token(ACCESS, build_key_ring(None, MASTER), NOON, "j")
    assert verify_access_token(token, build_key_ring(None, MASTER), NOON) == ACCESS
    assert verify_access_token(token, build_key_ring(None, "m" * 40, MASTER), NOON) == ACCESS
    assert assert_token_refused(token, build_key_ring(None, "m" * 40))
    assert MASTER.encode() not in [key.secret for key in build_key_ring(None, MASTER).keys]


def test_key_ring_repr_contains_no_secret():
    assert "ooo" not in repr(RING)


@pytest.mark.parametrize(
    ("secret", "salt", "purpose", "length", "material"),
    [  # RFC 5869, appendix A.1 to A.3
        (
            "0b" * 22,
            "000102030405060708090a0b0c",
            "f0f1f2f3f4f5f6f7f8f9",
            42,
            "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865",
        ),
        (
            bytes(range(0x50)).hex(),
            bytes(range(0x60, 0xB0)).hex(),
            bytes(range(0xB0, 0x100)).hex(),
            82,
            "b11e398dc80327a1c8e7f78c596a49344f012eda2d4efad8a050cc4c19afa97c59045a99cac7827271cb41c65e590e09"
            "da3275600c2f09b8367793a9aca3db71cc30c58179ec3e87c14c01d5c1f3434f1d87",
        ),
        (
            "0b" * 22,
            "",
            "",
            42,
            "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8",
        ),
    ],
)
def test_key_derivation_matches_the_rfc_vectors(secret, salt, purpose, length, material):
    key = derive_key(bytes.fromhex(secret), bytes.fromhex(purpose), bytes.fromhex(salt), length)
    assert key.hex() == material


# Refresh tokens


def test_refresh_token_contains_its_session_and_generation():
    assert verify_refresh_token(create_refresh_token(SESSION, 0, RING), RING) == (SESSION, 0)
    assert verify_refresh_token(create_refresh_token(SESSION, 41, RING), RING) == (SESSION, 41)


def test_refresh_token_is_deterministic_and_unique_for_each_generation():
    tokens = [create_refresh_token(SESSION, generation, RING) for generation in (0, 0, 1)]
    assert tokens[0] == tokens[1] != tokens[2]


def test_refresh_token_successor_cannot_be_derived_from_its_predecessor():
    token = create_refresh_token(SESSION, 3, RING)
    with pytest.raises(BadToken):
        verify_refresh_token(token.replace(".3.", ".4."), RING)
    with pytest.raises(BadToken):
        verify_refresh_token(token.replace(SESSION, SESSION[::-1]), RING)


def test_refresh_tokens_survive_key_rotation():
    token = create_refresh_token(SESSION, 3, RING)
    assert verify_refresh_token(token, build_key_ring(f"{NEW},{OLD}", MASTER)) == (SESSION, 3)
    with pytest.raises(BadToken):
        verify_refresh_token(token, build_key_ring(NEW, MASTER))


def test_access_and_refresh_tokens_are_not_interchangeable():
    with pytest.raises(BadToken):
        verify_refresh_token(forge_token(), RING)
    assert assert_token_refused(create_refresh_token(SESSION, 0, RING))


@pytest.mark.parametrize("changed", ["", " ", "x", ".", "\n", "0"])
def test_refresh_token_has_one_encoding(changed):
    token = create_refresh_token(SESSION, 3, RING)
    for other in (token + changed, changed + token, token.replace(".3.", f".{changed}3.")):
        if other != token:
            with pytest.raises(BadToken):
                verify_refresh_token(other, RING)


@given(st.text(max_size=200))
def test_random_text_is_not_a_refresh_token(text):
    with pytest.raises(BadToken):
        verify_refresh_token(text, RING)


def test_oversized_refresh_token_is_rejected():
    with pytest.raises(BadToken):
        verify_refresh_token("oms-refresh." + "1" * 1_000_000, RING)


# The validity of a refresh token


STATE = SessionState(4, "c" * 64, NOON, NOON + timedelta(days=30), revoked=False)


@pytest.mark.parametrize(
    ("generation", "client", "later", "means"),
    [
        (4, "c", timedelta(0), RefreshDecision.CURRENT),
        (4, "x", timedelta(days=6), RefreshDecision.CURRENT),
        (3, "c", timedelta(0), RefreshDecision.REPEATED),
        (3, "c", REFRESH_GRACE_PERIOD, RefreshDecision.REPEATED),
        (3, "c", REFRESH_GRACE_PERIOD + timedelta(seconds=1), RefreshDecision.REUSED),
        (3, "x", timedelta(seconds=1), RefreshDecision.REUSED),
        (2, "c", timedelta(seconds=1), RefreshDecision.REUSED),
        (0, "c", timedelta(seconds=1), RefreshDecision.REUSED),
        (5, "c", timedelta(seconds=1), RefreshDecision.REUSED),
        (4, "c", IDLE, RefreshDecision.ENDED),
        (3, "c", IDLE, RefreshDecision.ENDED),
    ],
)
def test_refresh_outcome_depends_on_generation_client_and_time(generation, client, later, means):
    assert decide_refresh(STATE, generation, client * 64, NOON + later, IDLE) is means


@pytest.mark.parametrize("over", [{"revoked": True}, {"expires_at": NOON}])
@pytest.mark.parametrize("generation", [3, 4])
def test_refresh_in_an_ended_session_is_rejected(over, generation):
    assert decide_refresh(replace(STATE, **over), generation, "c" * 64, NOON, IDLE) is RefreshDecision.ENDED


def test_key_ring_finds_keys_only_by_name():
    assert TokenKeys(RING.keys).find("old") is RING.get_signer()
    with pytest.raises(BadToken):
        RING.find("OLD")
