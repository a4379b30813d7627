"""Statements of the audit log. Each one filters by tenant."""
