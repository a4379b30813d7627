"""Rules of the sandbox, without I/O."""
