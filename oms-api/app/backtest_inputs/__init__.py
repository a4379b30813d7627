"""The inputs of a backtest on the command line: its arguments and its bars."""
