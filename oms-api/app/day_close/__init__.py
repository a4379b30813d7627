"""Day close: sign off the figures of a day, keep them, and write a statement per portfolio."""
