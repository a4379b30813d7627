"""Errors of backtests: of a run, which the command shows, and of requests."""

from typing_extensions import override

from app.errors import Conflict, NotFound
from app.sandbox.errors import Failure


class InvalidBacktest(ValueError):
    """Raised when the data or the settings of a backtest are wrong. The text states what to change."""


class InvalidCommand(Exception):
    """Raised when a command of a sandboxed strategy is malformed, or impossible at its instant.

    See the text.
    """


class StrategyFailed(Exception):
    """Raised when the strategy raised an exception. The text states where in its code."""

    def __init__(self, failure: Failure) -> None:
        callback = f" in {failure.callback}" if failure.callback else ""
        where = f" ({failure.file}, line {failure.line})" if failure.file else ""
        super().__init__(f"The strategy failed{callback}: {failure.type}: {failure.message}{where}")
        self.failure = failure

    @override
    def __reduce__(self) -> tuple[type[Exception], tuple[Failure | str]]:
        """Let the processes of a sweep report it."""
        return type(self), (self.failure,)


class StrategyStopped(StrategyFailed):
    """Raised when the process of a sandboxed strategy exceeded a limit, ended, or sent something wrong."""

    def __init__(self, reason: str) -> None:
        super().__init__(Failure("Stopped", reason))
        self.args = (reason,)

    @override
    def __reduce__(self) -> tuple[type[Exception], tuple[Failure | str]]:
        return type(self), (self.failure.message,)


class NoSuchBacktest(NotFound):
    """Raised when the tenant has no such backtest."""

    def __init__(self, backtest_id: str) -> None:
        super().__init__(f"There is no backtest {backtest_id}; list them with `GET /backtests`.")


class BacktestNotDone(Conflict):
    """Raised when the backtest has no result."""

    kind, title = "backtest-not-done", "The backtest has no result"

    def __init__(self, status: str) -> None:
        super().__init__(f"The backtest is {status}; there is a result once it is done.")


class TooManyBacktests(Conflict):
    """Raised when the tenant has the maximum number of backtests."""

    kind, title = "too-many-backtests", "Too many backtests"
