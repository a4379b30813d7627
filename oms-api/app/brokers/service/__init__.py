"""Services of the connections to brokers."""
