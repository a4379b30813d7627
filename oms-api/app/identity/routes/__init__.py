"""Tenants, people, keys and sessions over REST."""
