"""Serve signals over REST."""
