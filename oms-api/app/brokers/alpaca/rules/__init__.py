"""Alpaca's messages and the state of its orders, without I/O."""
