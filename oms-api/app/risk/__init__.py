"""Pre-trade risk: pure checks, limits that can be changed at run time, and kill switches."""
