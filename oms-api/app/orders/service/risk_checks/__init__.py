"""Pre-trade checks of an order: its exposure, limits, trading session and approval policy."""
