"""Signals of strategies outside of this service: each is stored, and then becomes one order."""
