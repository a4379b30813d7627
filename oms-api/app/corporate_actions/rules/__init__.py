"""Rules of corporate actions, without I/O."""
