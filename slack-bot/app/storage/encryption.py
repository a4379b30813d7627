"""Encrypt the secrets in the database of the bot. The keys can be rotated.

A ciphertext is `<key id>:<base64>`. It only decrypts with the same context, which names its row and column.
"""

import base64
import hashlib
import hmac
from collections.abc import Mapping

from nacl.exceptions import CryptoError
from nacl.secret import Aead

KEY_BYTES = Aead.KEY_SIZE
MAX_KEY_ID_CHARACTERS = 32


class DecryptionFailed(Exception):
    """Raised when the ciphertext was changed, belongs to another row, or its key is missing."""


class KeyRing:
    """Keys by id. The first one encrypts; the others decrypt secrets stored before a rotation."""

    def __init__(self, keys: Mapping[str, bytes]):
        self._boxes = {key_id: Aead(key) for key_id, key in keys.items()}
        self._current_id = next(iter(keys))

    def encrypt(self, text: str, context: str) -> str:
        """Return the ciphertext of a text, empty for an empty text."""
        if not text:
            return ""
        encrypted = self._boxes[self._current_id].encrypt(text.encode(), context.encode())
        return f"{self._current_id}:{base64.b64encode(encrypted).decode()}"

    def decrypt(self, ciphertext: str, context: str) -> str:
        """Return the text of a ciphertext, empty for an empty one. Raises `DecryptionFailed`."""
        if not ciphertext:
            return ""
        key_id, _, encoded = ciphertext.partition(":")
        box = self._boxes.get(key_id)
        if box is None:
            raise DecryptionFailed(
                f"BOT_ENCRYPTION_KEYS has no key with the id {key_id[:MAX_KEY_ID_CHARACTERS]}."
            )
        try:
            return box.decrypt(base64.b64decode(encoded, validate=True), context.encode()).decode()
        except (CryptoError, ValueError):
            raise DecryptionFailed("A stored secret cannot be decrypted.") from None

    def is_current(self, ciphertext: str) -> bool:
        """Return whether the key that encrypts now made the ciphertext."""
        return not ciphertext or ciphertext.startswith(f"{self._current_id}:")


def parse_keys(text: str) -> dict[str, bytes]:
    """Parse `id:base64,…`. Raises ValueError with a sentence that contains no key."""
    keys: dict[str, bytes] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        key_id, separator, encoded = part.partition(":")
        if not (separator and key_id.isascii() and key_id.isalnum() and len(key_id) <= MAX_KEY_ID_CHARACTERS):
            raise ValueError("Each key needs an id of letters and digits before a colon.")
        keys[key_id] = _decode_key(encoded)
    if not keys:
        raise ValueError("There is no key.")
    return keys


def derive_keys(secret: str) -> dict[str, bytes]:
    """Return a key that is derived from another secret of the bot, for development."""
    return {"derived": hmac.digest(secret.encode(), b"slackoms bot database v1", hashlib.sha256)}


def _decode_key(encoded: str) -> bytes:
    try:
        key = base64.b64decode(encoded, validate=True)
    except ValueError:
        key = b""
    if len(key) != KEY_BYTES:
        raise ValueError("Each key must be 32 bytes in base64.")
    return key
