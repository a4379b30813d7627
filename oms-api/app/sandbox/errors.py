"""Errors of the sandbox. No route raises them."""

from typing import NamedTuple


class SandboxError(Exception):
    """Raised when a child could not do its work. The text states the reason."""


class SandboxUnavailable(SandboxError):
    """Raised when this machine lacks layers of protection that untrusted code needs."""


class InvalidStrategy(SandboxError):
    """Raised when a name is not that of a strategy."""


class InvalidFrame(SandboxError):
    """Raised when a child sent something that is not a message, or too much."""


class ChildKilled(SandboxError):
    """Raised when a child was killed because it exceeded a limit, or it ended by itself."""


class Failure(NamedTuple):
    """An exception of a strategy. `file` and `line` are where its code was, empty and 0 if elsewhere."""

    type: str
    message: str
    file: str = ""
    line: int = 0
    callback: str = ""
    lines: tuple[str, ...] = ()  # of the traceback, the strategy's own code only


class ChildFailed(SandboxError):
    """Raised when the strategy raised an exception in the child."""

    def __init__(self, failure: Failure) -> None:
        where = f" ({failure.file}, line {failure.line})" if failure.file else ""
        super().__init__(f"{failure.type}: {failure.message}{where}")
        self.failure = failure
