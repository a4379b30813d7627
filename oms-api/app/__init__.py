"""The order management system: trades, portfolios and who may touch them."""

import gc

# Importing makes 100,000 objects that stay: to look through them again and again takes a tenth of the start.
gc.set_threshold(50_000, 20, 20)

__version__ = "0.1.0"
