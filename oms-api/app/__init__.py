"""The order management system: orders, trades, portfolios and access control."""

import gc

# Imports create 100,000 objects that stay alive. Scanning them repeatedly would take a tenth of the startup
# time.
gc.set_threshold(50_000, 20, 20)

__version__ = "0.1.0"
