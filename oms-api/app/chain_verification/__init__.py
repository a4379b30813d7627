"""Verification of the hash chains of the audit log and the ledger by schedule."""
