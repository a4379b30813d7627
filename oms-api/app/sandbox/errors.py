"""Errors of the sandbox. No route raises them."""

from typing import NamedTuple


class SandboxError(Exception):
    """The base of the errors of a child process. The text states the reason."""


class SandboxUnavailable(SandboxError):
    """Raised when this machine lacks layers of protection that untrusted code needs."""


class InvalidStrategy(SandboxError):
    """Raised when no strategy has the requested name."""


class InvalidFrame(SandboxError):
    """Raised when a child sent something that is not a message, or too much."""


class ChildKilled(SandboxError):
    """Raised when a child exceeded a limit and was killed, or ended unexpectedly."""


class Failure(NamedTuple):
    """An exception of a strategy. `file` and `line` locate its own code: empty and 0 if there is none."""

    type: str
    message: str
    file: str = ""
    line: int = 0
    callback: str = ""
    lines: tuple[str, ...] = ()  # the part of the traceback in the strategy's own code


class ChildFailed(SandboxError):
    """Raised when the strategy raised an exception in the child."""

    def __init__(self, failure: Failure) -> None:
        where = f" ({failure.file}, line {failure.line})" if failure.file else ""
        super().__init__(f"{failure.type}: {failure.message}{where}")
        self.failure = failure
