"""Serve the ledger over REST."""
