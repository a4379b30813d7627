"""Services of corporate actions."""
