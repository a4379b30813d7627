"""Bodies of identity's routes."""
