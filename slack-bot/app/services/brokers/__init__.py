"""Log in at brokers, and resolve differences from their books."""
