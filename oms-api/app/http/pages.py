"""Page cursors, signed and bound to the tenant and the list."""

import base64
import binascii
import hashlib
import hmac

from app.errors import FieldError, Invalid

_MAC_BYTES = 12
DEFAULT_LIMIT = 100
MAX_LIMIT = 1000
MAX_SKIPPED_ROWS = 10_000


class Cursors:
    """Creates and reads cursors. Processes with the same `secret` accept each other's."""

    def __init__(self, secret: str) -> None:
        self._key = hmac.digest(secret.encode(), b"slackoms cursors v1", hashlib.sha256)

    def make(self, tenant_id: int, list_name: str, position: str) -> str:
        """Return an opaque cursor of `position`, valid only for this tenant and list."""
        return self._write_cursor(tenant_id, list_name, position.encode())

    def read(self, tenant_id: int, list_name: str, cursor: str) -> str:
        """Return the position in the cursor. Raises Invalid unless it was made for this tenant and list."""
        try:
            raw = base64.urlsafe_b64decode(cursor.encode("ascii") + b"=" * (-len(cursor) % 4))
        except (ValueError, binascii.Error):
            raise _build_invalid_cursor() from None
        text = raw[_MAC_BYTES:]
        # Compare the text: several base64 texts decode to the same bytes.
        if not hmac.compare_digest(cursor, self._write_cursor(tenant_id, list_name, text)):
            raise _build_invalid_cursor()
        return text.decode()

    def _write_cursor(self, tenant_id: int, list_name: str, text: bytes) -> str:
        return (
            base64.urlsafe_b64encode(self._compute_mac(tenant_id, list_name, text) + text)
            .decode()
            .rstrip("=")
        )

    def _compute_mac(self, tenant_id: int, list_name: str, text: bytes) -> bytes:
        signed_content = f"{tenant_id}|{list_name}|".encode() + text
        return hmac.digest(self._key, signed_content, hashlib.sha256)[:_MAC_BYTES]


def _build_invalid_cursor() -> Invalid:
    error = FieldError("cursor", "Not a cursor of this list; start again without a cursor.", "cursor")
    return Invalid("The cursor is not valid; start again without a cursor.", [error])
