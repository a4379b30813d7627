"""Secrets and signatures according to Standard Webhooks (https://www.standardwebhooks.com)."""

import base64
import hashlib
import hmac
from collections.abc import Sequence
from datetime import datetime

from app.webhooks.rules.values import Endpoint, OutgoingEvent

SECRET_BYTES = 32
_SECRET_PREFIX = "whsec_"  # noqa: S105  # not a secret
_USER_AGENT = "SlackOMS-Webhooks/1"


def format_secret(random_bytes: bytes) -> str:
    """Return the secret of a webhook as it is shown to its owner."""
    return _SECRET_PREFIX + base64.b64encode(random_bytes).decode()


def sign_message(secrets: Sequence[str], message_id: str, timestamp: int, body: bytes) -> str:
    """Return the header `webhook-signature`, with a signature by each secret. The time is in Unix seconds."""
    message = f"{message_id}.{timestamp}.".encode() + body
    keys = [base64.b64decode(secret.removeprefix(_SECRET_PREFIX)) for secret in secrets]
    digests = [hmac.digest(key, message, hashlib.sha256) for key in keys]
    return " ".join(f"v1,{base64.b64encode(digest).decode()}" for digest in digests)


def build_headers(
    endpoint: Endpoint, secrets: Sequence[str], event: OutgoingEvent, at: datetime
) -> dict[str, str]:
    """Return the headers of a request. `secrets` are the current one and the previous one of the endpoint."""
    if endpoint.previous_until is None or endpoint.previous_until <= at:
        secrets = secrets[:1]
    timestamp = int(at.timestamp())
    return {
        "Content-Type": "application/json",
        "User-Agent": _USER_AGENT,
        "webhook-id": event.id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": sign_message(secrets, event.id, timestamp, event.body),
    }
