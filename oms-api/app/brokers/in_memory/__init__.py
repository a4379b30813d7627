"""An order book in memory, which backtests use, and a broker with it, which tests and benchmarks use."""
