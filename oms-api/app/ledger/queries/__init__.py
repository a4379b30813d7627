"""Database statements of the ledger: for the writer (`books`) and for readers (`reading`)."""
