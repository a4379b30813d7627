"""Business rules of signals, without I/O."""
