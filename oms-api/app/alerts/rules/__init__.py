"""Rules of alerts, without I/O."""
