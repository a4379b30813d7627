"""Equity through time: snapshots, curves and statistics of portfolios."""
