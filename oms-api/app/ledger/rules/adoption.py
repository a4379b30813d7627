"""Trades that adopt a broker's position."""

ADOPTION_KEY_PREFIX = "reconciliation:"  # of the idempotency key, before the id of the issue


def build_adoption_key(issue_id: str) -> str:
    """Return the idempotency key of the trade that resolves an issue."""
    return f"{ADOPTION_KEY_PREFIX}{issue_id}"
