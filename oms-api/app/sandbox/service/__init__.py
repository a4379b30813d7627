"""Starts child processes, and exchanges frames with them."""
