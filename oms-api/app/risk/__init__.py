"""Pre-trade risk: checks over plain values, limits changed at run time, and the kill switch."""
