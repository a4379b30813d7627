"""The format of API keys.

A key is `oms_` + an id of 12 characters + `_` + 35 random characters (base 36: 180 bits) + 6 characters of
checksum. The checksum rejects mistyped and invented keys without a database query.
"""

import hashlib
import hmac
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

ALPHABET = "0123456789abcdefghijklmnopqrstuvwxyz"
PREFIX = "oms_"
ID_LENGTH = 12
SECRET_LENGTH = 35
NAME_LENGTH = 60
CHECKSUM_LENGTH = 6
KEY_LENGTH = len(PREFIX) + ID_LENGTH + 1 + SECRET_LENGTH + CHECKSUM_LENGTH


@dataclass(frozen=True, slots=True)
class StoredKey:
    """A stored key. `portfolios` holds the name keys of the allowed portfolios; None means all."""

    key_id: str
    tenant_id: int
    name: str
    secret_hash: bytes
    scopes: str
    expires_at: datetime | None
    revoked_at: datetime | None
    is_narrowed: bool = False
    tenant_is_active: bool = True
    portfolios: frozenset[str] | None = None


class ListedKey(NamedTuple):
    """A key as it is listed, without the key itself and without its hash."""

    key_id: str
    name: str
    scopes: str
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None


def get_key_state(expires_at: datetime | None, revoked_at: datetime | None, now: datetime) -> str:
    """Return "live", "expired" or "revoked"."""
    if revoked_at is not None:
        return "revoked"
    return "expired" if expires_at is not None and expires_at <= now else "live"


def generate_key(draw: Callable[[str], str]) -> str:
    """Return a new key. `draw` picks one random character of the alphabet, like `secrets.choice`."""
    characters = [draw(ALPHABET) for _ in range(ID_LENGTH + SECRET_LENGTH)]
    body = f"{PREFIX}{''.join(characters[:ID_LENGTH])}_{''.join(characters[ID_LENGTH:])}"
    return body + _compute_checksum(body)


def parse_key_id(key: str) -> str | None:
    """Return the id inside a well-formed key, or None if the format or the checksum is wrong."""
    if len(key) != KEY_LENGTH or not key.startswith(PREFIX) or not key.isascii():
        return None
    body, checksum = key[:-CHECKSUM_LENGTH], key[-CHECKSUM_LENGTH:]
    if not hmac.compare_digest(checksum, _compute_checksum(body)):
        return None
    return key[len(PREFIX) : len(PREFIX) + ID_LENGTH]


def get_environment_key_id(key: str) -> str:
    """Return the id of a key that is set in the environment and may have any format."""
    return parse_key_id(key) or hash_key(key).hex()[:ID_LENGTH]


def hash_key(key: str) -> bytes:
    """Return the hash that is stored. Keys carry 180 random bits, so a fast hash is enough."""
    return hashlib.sha256(key.encode()).digest()


def is_valid_key(stored: StoredKey, key: str, now: datetime) -> bool:
    """Return whether `key` is the stored one and is still valid."""
    matches = hmac.compare_digest(stored.secret_hash, hash_key(key))
    expired = stored.expires_at is not None and stored.expires_at <= now
    return matches and not expired and stored.revoked_at is None


def _compute_checksum(body: str) -> str:
    number = int.from_bytes(hashlib.sha256(body.encode()).digest()[:4], "big")
    digits = ""
    for _ in range(CHECKSUM_LENGTH):
        number, digit = divmod(number, len(ALPHABET))
        digits += ALPHABET[digit]
    return digits
