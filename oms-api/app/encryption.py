"""Encryption of secrets that are stored in the database: XChaCha20-Poly1305 with a ring of keys.

A ciphertext is `v1:<key id>:<base64>`. It is bound to a context, such as table and row, so that it cannot be
moved to another row. The first key of the ring encrypts, all decrypt.
"""

import base64
import binascii
import hashlib
import hmac
import os
from collections.abc import Mapping

from nacl.bindings import (
    crypto_aead_xchacha20poly1305_ietf_decrypt,
    crypto_aead_xchacha20poly1305_ietf_encrypt,
)
from nacl.exceptions import CryptoError

KEY_BYTES = 32
_NONCE_BYTES = 24  # long enough to be random
_CIPHERTEXT_VERSION = "v1"
_KEY_ID_LENGTH = 8


class DecryptionFailed(Exception):
    """Raised when the ciphertext was changed, belongs to another row, or its key is not in the ring."""


class EncryptionKeys:
    """Keys by their ids. The first one encrypts."""

    def __init__(self, keys: Mapping[str, bytes]) -> None:
        self._keys = dict(keys)
        self.current_id = next(iter(keys))

    def encrypt(self, text: str, context: str) -> str:
        """Return the ciphertext of `text`, which only decrypts with the same context."""
        nonce = os.urandom(_NONCE_BYTES)
        encrypted = crypto_aead_xchacha20poly1305_ietf_encrypt(
            text.encode(), context.encode(), nonce, self._keys[self.current_id]
        )
        return f"{_CIPHERTEXT_VERSION}:{self.current_id}:{base64.b64encode(nonce + encrypted).decode()}"

    def decrypt(self, ciphertext: str, context: str) -> str:
        """Return the text of a ciphertext. Raises DecryptionFailed."""
        version, _, key_and_content = ciphertext.partition(":")
        key_id, _, encoded = key_and_content.partition(":")
        key = self._keys.get(key_id)
        if version != _CIPHERTEXT_VERSION or key is None:
            raise DecryptionFailed
        try:
            raw = base64.b64decode(encoded, validate=True)
            nonce, encrypted = raw[:_NONCE_BYTES], raw[_NONCE_BYTES:]
            return crypto_aead_xchacha20poly1305_ietf_decrypt(
                encrypted, context.encode(), nonce, key
            ).decode()
        except (CryptoError, TypeError, ValueError, binascii.Error):
            raise DecryptionFailed from None

    def is_current(self, ciphertext: str) -> bool:
        """Return whether the ciphertext was made with the key that encrypts now."""
        return ciphertext.startswith(f"{_CIPHERTEXT_VERSION}:{self.current_id}:")


def parse_key_ring(text: str) -> dict[str, bytes]:
    """Parse `id:base64,…`, where the id may be left out. Raises ValueError if it is malformed."""
    keys: dict[str, bytes] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        key_id, _, encoded = part.rpartition(":")
        key = base64.b64decode(encoded, validate=True)
        if len(key) != KEY_BYTES or not (key_id or "x").isalnum():
            raise ValueError("a key must be 32 bytes in base64, and its id letters and digits")
        keys[key_id or _compute_fingerprint(key)] = key
    if not keys:
        raise ValueError("there is no key")
    return keys


def derive_key_ring(secrets: list[str], purpose: str) -> dict[str, bytes]:
    """Return keys that are derived from secrets of the installation, the current one first."""
    keys = [
        hmac.digest(secret.encode(), f"slackoms {purpose} v1".encode(), hashlib.sha256) for secret in secrets
    ]
    return {_compute_fingerprint(key): key for key in keys}


def _compute_fingerprint(key: bytes) -> str:
    return hashlib.sha256(b"slackoms key id" + key).hexdigest()[:_KEY_ID_LENGTH]
