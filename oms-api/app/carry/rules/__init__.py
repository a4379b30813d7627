"""Pure rules of interest and borrow fees."""
