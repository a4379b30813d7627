"""Exports as a sequence of pages, and their formats."""
