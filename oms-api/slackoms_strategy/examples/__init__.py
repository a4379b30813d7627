"""Examples of strategies, each with a documented backtest in `docs/strategies.md`."""
