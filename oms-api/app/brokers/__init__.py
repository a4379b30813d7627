"""Where orders are executed: one protocol, and the paper broker that needs no account anywhere."""
