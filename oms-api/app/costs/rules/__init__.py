"""Rules of costs, without I/O."""
