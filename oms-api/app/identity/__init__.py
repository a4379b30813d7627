"""Authentication and authorization: tenants, users, API keys and scopes."""
