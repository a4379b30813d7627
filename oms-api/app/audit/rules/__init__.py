"""Rules of the audit trail: content, hash chain, aggregation and verification."""
