"""Authenticates callers, and manages tenants, users, keys and sessions."""
