"""The order management system: trades, portfolios and who may touch them."""

__version__ = "0.1.0"
