"""Pure rules of the ledger: accounting, the hash chain, and the validation of trades."""
