"""Fan out events, quotes and P&L to the connections of this process."""
