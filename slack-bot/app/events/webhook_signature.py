"""Verify the signatures of the OMS, according to Standard Webhooks (https://www.standardwebhooks.com)."""

import base64
import binascii
import hashlib
import hmac
import re

TOLERANCE_SECONDS = 300
PREFIX = "whsec_"
TIMESTAMP = re.compile(r"[0-9]{1,12}", re.ASCII)


def is_event_signed(
    secret: str, message_id: str, timestamp: str, signatures: str, body: bytes, now: float
) -> bool:
    """Return whether one of the signatures is valid, at most five minutes from `now` (Unix seconds)."""
    if not TIMESTAMP.fullmatch(timestamp) or abs(now - int(timestamp)) > TOLERANCE_SECONDS:
        return False
    try:
        key = base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    except (binascii.Error, ValueError):
        return False
    message = f"{message_id}.{timestamp}.".encode("utf-8", "surrogateescape") + body
    expected = b"v1," + base64.b64encode(hmac.digest(key, message, hashlib.sha256))
    sent = [signature.encode("utf-8", "surrogateescape") for signature in signatures.split(" ")[:10]]
    return any(hmac.compare_digest(expected, signature) for signature in sent)
