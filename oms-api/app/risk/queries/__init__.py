"""Reading and writing limits and kill switches."""
