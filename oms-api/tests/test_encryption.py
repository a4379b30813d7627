"""Encryption of secrets in the database."""

import base64

import pytest

from app.encryption import DecryptionFailed, EncryptionKeys, derive_key_ring, parse_key_ring

KEY, OTHER = (base64.b64encode(byte * 32).decode() for byte in (b"k", b"o"))


def test_text_is_decrypted_in_its_context_only():
    ring = EncryptionKeys(parse_key_ring(f"one:{KEY}"))
    ciphertext = ring.encrypt("whsec_canary", "webhook:1:wh_1")
    assert ring.decrypt(ciphertext, "webhook:1:wh_1") == "whsec_canary"
    assert "canary" not in ciphertext
    assert ring.encrypt("whsec_canary", "webhook:1:wh_1") != ciphertext
    with pytest.raises(DecryptionFailed):
        ring.decrypt(ciphertext, "webhook:2:wh_1")


def test_changed_ciphertext_is_refused():
    ring = EncryptionKeys(parse_key_ring(f"one:{KEY}"))
    ciphertext = ring.encrypt("secret", "row")
    raw = bytearray(base64.b64decode(ciphertext.rpartition(":")[2]))
    for at in range(len(raw)):
        changed = raw.copy()
        changed[at] ^= 1
        with pytest.raises(DecryptionFailed):
            ring.decrypt(f"v1:one:{base64.b64encode(changed).decode()}", "row")
    for broken in ("", "v1", "v1:one:", "v1:one:AAAA", "v1:one:é", "v2" + ciphertext[2:], "v1:two:AAAA"):
        with pytest.raises(DecryptionFailed):
            ring.decrypt(broken, "row")


def test_first_key_encrypts_and_all_decrypt():
    old = EncryptionKeys(parse_key_ring(f"one:{KEY}"))
    ciphertext = old.encrypt("secret", "row")
    new = EncryptionKeys(parse_key_ring(f"two:{OTHER}, one:{KEY}"))
    assert new.decrypt(ciphertext, "row") == "secret"
    assert (old.is_current(ciphertext), new.is_current(ciphertext)) == (True, False)
    second_ciphertext = new.encrypt("secret", "row")
    assert new.is_current(second_ciphertext)
    with pytest.raises(DecryptionFailed):
        old.decrypt(second_ciphertext, "row")


@pytest.mark.parametrize("text", ["", ",", "one:", "one:AAAA", "one:!", f"a b:{KEY}", f"one:{KEY}="])
def test_malformed_keys_are_refused(text):
    with pytest.raises(ValueError, match=r"."):
        parse_key_ring(text)


def test_id_of_a_key_may_be_left_out():
    assert list(parse_key_ring(KEY)) == list(parse_key_ring(KEY)) != list(parse_key_ring(OTHER))


def test_derived_keys_depend_on_secret_and_purpose():
    first, second = derive_key_ring(["a" * 40], "webhooks"), derive_key_ring(["a" * 40], "brokers")
    assert first.keys().isdisjoint(second)
    assert list(derive_key_ring(["b" * 40, "a" * 40], "webhooks"))[1:] == list(first)
