"""The state of a batch: portfolios, orders and prices that are loaded under locks, and their changes."""
