"""Sessions as plain values: what the tables say, and how questions are answered from them."""
