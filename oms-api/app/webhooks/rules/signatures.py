"""Secrets and signatures according to Standard Webhooks (https://www.standardwebhooks.com)."""

import base64
import hashlib
import hmac
from collections.abc import Sequence

SECRET_BYTES = 32
_PREFIX = "whsec_"


def format_secret(random_bytes: bytes) -> str:
    """Return the secret of a webhook as it is shown to its owner."""
    return _PREFIX + base64.b64encode(random_bytes).decode()


def sign(secrets: Sequence[str], message_id: str, timestamp: int, body: bytes) -> str:
    """Return the header `webhook-signature`, with a signature by each secret. The time is in Unix seconds."""
    message = f"{message_id}.{timestamp}.".encode() + body
    keys = [base64.b64decode(secret.removeprefix(_PREFIX)) for secret in secrets]
    digests = [hmac.digest(key, message, hashlib.sha256) for key in keys]
    return " ".join(f"v1,{base64.b64encode(digest).decode()}" for digest in digests)
