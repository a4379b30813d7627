"""Stored secrets: which key encrypts, what decrypts, and what is refused."""

import base64

import pytest

from app.storage.encryption import DecryptionFailed, KeyRing, derive_keys, parse_keys

OLD, NEW = (base64.b64encode(letter * 32).decode() for letter in (b"o", b"n"))


def test_secret_only_decrypts_in_its_own_row():
    ring = KeyRing(parse_keys(f"k1:{OLD}"))
    ciphertext = ring.encrypt("xoxb-canary", "installations:T1:bot_token")
    assert "canary" not in ciphertext
    assert ring.decrypt(ciphertext, "installations:T1:bot_token") == "xoxb-canary"
    with pytest.raises(DecryptionFailed):
        ring.decrypt(ciphertext, "installations:T2:bot_token")
    with pytest.raises(DecryptionFailed):
        ring.decrypt(ciphertext[:-4] + "AAAA", "installations:T1:bot_token")
    assert ring.encrypt("xoxb-canary", "c") != ring.encrypt("xoxb-canary", "c")


def test_first_key_encrypts_and_earlier_ones_still_decrypt():
    earlier = KeyRing(parse_keys(f"k1:{OLD}")).encrypt("secret", "c")
    rotated = KeyRing(parse_keys(f"k2:{NEW}, k1:{OLD}"))
    assert rotated.decrypt(earlier, "c") == "secret"
    assert not rotated.is_current(earlier)
    assert rotated.is_current(rotated.encrypt("secret", "c"))
    with pytest.raises(DecryptionFailed, match="k1"):
        KeyRing(parse_keys(f"k2:{NEW}")).decrypt(earlier, "c")


def test_empty_value_stays_empty():
    ring = KeyRing(derive_keys("signing-secret"))
    assert ring.encrypt("", "c") == ring.decrypt("", "c") == ""


@pytest.mark.parametrize(
    "text", ["", "k1", OLD, f"k 1:{OLD}", f"é:{OLD}", "k1:AAAA", "k1:no base64!", f"{'k' * 33}:{OLD}", ":"]
)
def test_malformed_keys_are_refused_without_quoting_them(text):
    with pytest.raises(ValueError, match=r"key") as error:
        parse_keys(text)
    assert not text or text not in str(error.value)
