"""Create, list and evaluate alerts."""
