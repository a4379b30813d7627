"""Compare orders, executions, positions and cash with those of a broker."""
