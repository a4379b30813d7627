"""Backtests: strategies on bars of the past, by the rules of the live service."""
