"""Errors of backtests. They are shown by the command; no route raises them."""


class InvalidBacktest(ValueError):
    """The data or the settings of a backtest are wrong. The text says what to change."""


class StrategyFailed(Exception):
    """The strategy raised an exception. The cause is the exception."""

    def __init__(self, callback: str, cause: Exception) -> None:
        super().__init__(f"The strategy failed in {callback}: {type(cause).__name__}: {cause}")
        self.callback = callback
