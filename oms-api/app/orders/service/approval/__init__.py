"""Decisions on orders that wait for approval."""
