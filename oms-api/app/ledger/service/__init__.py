"""What the ledger does: record and reverse trades, in batches, inside the writer's transaction."""
