"""Verify Slack's request signatures before a request is parsed."""

import hashlib
import hmac
import re

WINDOW_SECONDS = 300
TIMESTAMP = re.compile(r"[0-9]{1,12}", re.ASCII)


def is_signed(secret: str, timestamp: str, signature: str, body: bytes, now: float) -> bool:
    """Return whether the signature is valid for this body, and within five minutes of `now` (Unix seconds).

    https://docs.slack.dev/authentication/verifying-requests-from-slack
    """
    if not TIMESTAMP.fullmatch(timestamp) or abs(now - int(timestamp)) > WINDOW_SECONDS:
        return False
    base = b"v0:" + timestamp.encode() + b":" + body
    expected = "v0=" + hmac.new(secret.encode(), base, hashlib.sha256).hexdigest()
    return hmac.compare_digest(expected.encode(), signature.encode("utf-8", "surrogateescape"))
