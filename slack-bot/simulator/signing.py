"""Sign requests as Slack does (version v0): an HMAC over version, timestamp and body."""

import hashlib
import hmac


def build_signature_headers(secret: str, body: bytes, timestamp: int) -> dict[str, str]:
    """Return the two signature headers of a request. ``timestamp`` is in whole seconds since 1970."""
    base = b"v0:" + str(timestamp).encode() + b":" + body
    digest = hmac.new(secret.encode(), base, hashlib.sha256).hexdigest()
    return {"X-Slack-Request-Timestamp": str(timestamp), "X-Slack-Signature": f"v0={digest}"}
