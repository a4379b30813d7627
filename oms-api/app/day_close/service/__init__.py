"""Sign off days, read them, and verify them."""
