"""Services of the reconciliation with brokers."""
