"""Statements of the audit trail. Each one filters by tenant."""
