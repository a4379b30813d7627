"""Serve orders over REST."""
