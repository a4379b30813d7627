"""Rules of quotes and bars, without I/O."""
