"""Business rules of the scheduled verification, without I/O."""
