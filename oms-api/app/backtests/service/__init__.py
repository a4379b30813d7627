"""Runs backtests and writes their results."""
