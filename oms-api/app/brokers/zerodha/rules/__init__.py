"""Kite's messages, tags, charges and capabilities, without I/O."""
