"""The steps of a batch: find the portfolios to lock, load them, decide on each command, write the changes."""
