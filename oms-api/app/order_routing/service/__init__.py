"""Services of the sessions with brokers."""
