"""Queries of tenants, users and credentials."""
