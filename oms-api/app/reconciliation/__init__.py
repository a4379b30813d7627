"""Compare orders, executions, positions and cash with a broker's."""
