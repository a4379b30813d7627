"""REST routes of tenants, users, keys and sessions."""
