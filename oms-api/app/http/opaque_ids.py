"""Opaque ids: encrypted numbers of the installation.

A plain number that counts across tenants would reveal other tenants' activity. The encryption is
deterministic, so that a number always has the same id: a MAC over tenant, kind and number, followed by the
number under a key stream derived from the MAC (synthetic initialization vector, RFC 5297).
"""

import base64
import binascii
import hashlib
import hmac

_MAC_BYTES = 12
_NUMBER_BYTES = 8


class OpaqueIds:
    """Encrypts and decrypts numbers. Processes with the same `secret` accept each other's ids."""

    def __init__(self, secret: str) -> None:
        self._mac_key = hmac.digest(secret.encode(), b"slackoms seals v1 mac", hashlib.sha256)
        self._stream_key = hmac.digest(secret.encode(), b"slackoms seals v1 stream", hashlib.sha256)

    def encode(self, tenant_id: int, kind: str, number: int) -> str:
        """Return `number` (below 2^64) as text that this tenant can send back but cannot read."""
        plain = number.to_bytes(_NUMBER_BYTES, "big")
        mac = self._compute_mac(tenant_id, kind, plain)
        return base64.urlsafe_b64encode(mac + self._apply_key_stream(mac, plain)).decode().rstrip("=")

    def decode(self, tenant_id: int, kind: str, text: str) -> int | None:
        """Return the number of an id, or None unless it was made for this tenant and kind."""
        try:
            raw = base64.urlsafe_b64decode(text.encode("ascii") + b"=")
        except (ValueError, binascii.Error):
            return None
        plain = self._apply_key_stream(raw[:_MAC_BYTES], raw[_MAC_BYTES:])
        if len(plain) != _NUMBER_BYTES:
            return None
        number = int.from_bytes(plain, "big")
        # Compare the text: several base64 texts decode to the same bytes.
        is_ours = hmac.compare_digest(text, self.encode(tenant_id, kind, number))
        return number if is_ours else None

    def _compute_mac(self, tenant_id: int, kind: str, plain: bytes) -> bytes:
        signed_content = f"{tenant_id}|{kind}|".encode() + plain
        return hmac.digest(self._mac_key, signed_content, hashlib.sha256)[:_MAC_BYTES]

    def _apply_key_stream(self, mac: bytes, content: bytes) -> bytes:
        stream = hmac.digest(self._stream_key, mac, hashlib.sha256)
        return bytes(byte ^ mask for byte, mask in zip(content, stream, strict=False))
