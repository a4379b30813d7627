"""Record and reverse trades in batches, in the writer's transaction; verify, rebuild and read the ledger."""
