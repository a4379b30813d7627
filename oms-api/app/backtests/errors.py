"""Errors of backtests: those of a run, which the command shows, and those of requests."""

from app.errors import Conflict, NotFound


class InvalidBacktest(ValueError):
    """The data or the settings of a backtest are wrong. The text says what to change."""


class StrategyFailed(Exception):
    """The strategy raised an exception. The cause is the exception."""

    def __init__(self, callback: str, cause: Exception) -> None:
        super().__init__(f"The strategy failed in {callback}: {type(cause).__name__}: {cause}")
        self.callback = callback


class NoSuchBacktest(NotFound):
    """The tenant has no such backtest."""

    def __init__(self, backtest_id: str) -> None:
        super().__init__(f"There is no backtest {backtest_id}; list them with `GET /backtests`.")


class BacktestNotDone(Conflict):
    """The backtest has no result."""

    kind, title = "backtest-not-done", "The backtest has no result"

    def __init__(self, status: str) -> None:
        super().__init__(f"The backtest is {status}; there is a result once it is done.")


class TooManyBacktests(Conflict):
    """The tenant has the maximum number of backtests."""

    kind, title = "too-many-backtests", "Too many backtests"
