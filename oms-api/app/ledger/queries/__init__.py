"""Database statements of the ledger: of the writer (`batch_statements`), and of readers."""
