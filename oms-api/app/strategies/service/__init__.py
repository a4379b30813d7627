"""Registers, starts, pauses, stops and runs strategies."""
