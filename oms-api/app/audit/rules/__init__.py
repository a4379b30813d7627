"""Rules of the audit log: content, hash chain, aggregation and verification."""
