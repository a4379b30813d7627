"""The `traceparent` header of requests to the OMS: https://www.w3.org/TR/trace-context/."""

import hashlib
import secrets


def build_traceparent(request_id: str) -> str:
    """Return the header of a request. All requests of a request from Slack belong to one trace."""
    trace = hashlib.sha256(request_id.encode()).hexdigest()[:32]
    return f"00-{trace}-{secrets.token_hex(8)}-01"
