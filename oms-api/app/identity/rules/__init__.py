"""Rules of authorization, without I/O."""
