"""Serve market data over REST."""
