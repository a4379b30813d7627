"""The append-only audit trail, chained by hashes per tenant. It has no routes."""
