"""Authenticate callers, and manage tenants, users, keys and sessions."""
