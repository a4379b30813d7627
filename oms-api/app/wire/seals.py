"""Numbers of the installation, sealed for a tenant: what is counted across tenants would tell one of the
others' activity.

A seal is deterministic, so that the same number is always told the same way: a MAC over tenant, kind and
number, and the number under a key stream that the MAC picks (synthetic initialisation vector, RFC 5297).
"""

import base64
import binascii
import hashlib
import hmac

_MAC_BYTES = 12
_NUMBER_BYTES = 8


class Seals:
    """Seal numbers and open seals; processes that share `secret` open each other's."""

    def __init__(self, secret: str) -> None:
        self._mac_key = hmac.digest(secret.encode(), b"slackoms seals v1 mac", hashlib.sha256)
        self._stream_key = hmac.digest(secret.encode(), b"slackoms seals v1 stream", hashlib.sha256)

    def seal(self, tenant_id: int, kind: str, number: int) -> str:
        """Return `number` (below 2^64) as text that this tenant can hand back, and nobody can read."""
        plain = number.to_bytes(_NUMBER_BYTES, "big")
        mac = self._mac(tenant_id, kind, plain)
        return base64.urlsafe_b64encode(mac + self._crossed(mac, plain)).decode().rstrip("=")

    def open(self, tenant_id: int, kind: str, text: str) -> int | None:
        """Return the number in the seal, or None for anything but a seal of this tenant and kind."""
        try:
            raw = base64.urlsafe_b64decode(text.encode("ascii") + b"=")
        except (ValueError, binascii.Error):
            return None
        plain = self._crossed(raw[:_MAC_BYTES], raw[_MAC_BYTES:])
        if len(plain) != _NUMBER_BYTES:
            return None
        number = int.from_bytes(plain, "big")
        # Compared as it is written: base64 has several spellings of the same bytes.
        is_ours = hmac.compare_digest(text, self.seal(tenant_id, kind, number))
        return number if is_ours else None

    def _mac(self, tenant_id: int, kind: str, plain: bytes) -> bytes:
        signed = f"{tenant_id}|{kind}|".encode() + plain
        return hmac.digest(self._mac_key, signed, hashlib.sha256)[:_MAC_BYTES]

    def _crossed(self, mac: bytes, data: bytes) -> bytes:
        stream = hmac.digest(self._stream_key, mac, hashlib.sha256)
        return bytes(one ^ other for one, other in zip(data, stream, strict=False))
