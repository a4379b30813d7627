"""Rules of the adapter for IBKR."""
