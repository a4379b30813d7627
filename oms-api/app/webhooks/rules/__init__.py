"""Business rules of webhooks, without I/O."""
