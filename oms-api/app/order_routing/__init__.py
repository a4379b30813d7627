"""Send orders to brokers after their commit, and apply what the brokers report."""
