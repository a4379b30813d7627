"""Business rules of the reconciliation, without I/O."""
