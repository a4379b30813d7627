"""Rules of reports, without I/O."""
