"""Run backtests and write their results."""
