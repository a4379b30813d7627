"""Send orders to brokers after their commit, and apply the brokers' reports."""
