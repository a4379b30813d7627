"""The append-only audit log, chained by hashes per tenant. It has no routes."""
