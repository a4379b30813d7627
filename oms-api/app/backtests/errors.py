"""Errors of backtests. They are shown by the command; no route raises them."""

from typing_extensions import override

from app.sandbox.errors import Failure


class InvalidBacktest(ValueError):
    """The data or the settings of a backtest are wrong. The text says what to change."""


class InvalidCommand(Exception):
    """A command of a sandboxed strategy is malformed, or impossible at its instant. The text says why."""


class StrategyFailed(Exception):
    """The strategy raised an exception. The text says where in its code."""

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
    """The process of a sandboxed strategy exceeded a limit, ended, or sent something wrong."""

    def __init__(self, reason: str) -> None:
        super().__init__(Failure("Stopped", reason))
        self.args = (f"The strategy's process was stopped. {reason}",)

    @override
    def __reduce__(self) -> tuple[type[Exception], tuple[Failure | str]]:
        return type(self), (self.failure.message,)
