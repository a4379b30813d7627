"""Business rules of duties, without I/O."""
