"""Authenticating callers, and keeping tenants, users, keys and sessions."""
