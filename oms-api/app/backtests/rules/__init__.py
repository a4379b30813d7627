"""Rules of backtests, without I/O."""
