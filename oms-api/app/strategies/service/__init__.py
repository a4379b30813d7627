"""Register, start, pause, stop and run strategies."""
