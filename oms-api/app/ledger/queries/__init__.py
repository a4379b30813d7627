"""Database statements of the ledger: for the writer (`batch_statements`) and for readers (`reading`)."""
