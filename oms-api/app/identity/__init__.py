"""Who is calling: tenants, API keys, scopes."""
