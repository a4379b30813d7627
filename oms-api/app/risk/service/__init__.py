"""Set, cache, apply and verify limits, kill switches and latches."""
