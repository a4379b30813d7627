"""Business rules of performance, without I/O."""
