"""Reports derived from the ledger: P&L by group and day, round trips and FIFO lots."""
