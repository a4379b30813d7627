"""What the ledger asks of the database: for the writer (`books`) and for readers (`reading`)."""
