"""Accepts signals and turns them into orders."""
