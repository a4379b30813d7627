"""Order execution: the broker interface, and the paper broker, which needs no account."""
