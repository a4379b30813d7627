"""Instruments: symbols, aliases and trading terms."""
