"""Read and write limits, kill switches and latches in the database."""
