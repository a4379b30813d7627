"""Business rules of jobs, without I/O."""
