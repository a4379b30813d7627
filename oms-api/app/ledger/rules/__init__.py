"""Pure rules of the ledger: accounting, the chain of hashes, what a ticket may say."""
