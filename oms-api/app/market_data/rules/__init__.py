"""Quotes and bars as plain values, and what follows from them."""
