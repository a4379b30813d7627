"""Load a batch, decide on its commands, and write it."""
