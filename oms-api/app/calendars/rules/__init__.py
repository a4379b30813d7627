"""Rules of trading sessions, without I/O."""
