"""Rules of strategies, without I/O."""
