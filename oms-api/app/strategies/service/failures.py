"""Describe why a strategy cannot continue."""

import traceback
from types import TracebackType

from app.errors import OmsError
from app.sandbox.errors import ChildFailed, SandboxError


def describe_end(error: Exception) -> str:
    """Return the text of an error. For an error of the strategy's code, it has the file and the line."""
    if isinstance(error, OmsError):
        return error.errors[0].message if error.errors else error.detail
    if isinstance(error, ChildFailed):
        return "\n".join((str(error), *error.failure.lines))
    if isinstance(error, SandboxError):
        return str(error)
    return describe_failure(error)


def describe_failure(error: BaseException) -> str:
    """Return an exception with the file and line of the strategy's code where it was raised."""
    place = _find_place(error.__traceback__)
    return f"{type(error).__name__}: {error}{place}"


def _find_place(trace: TracebackType | None) -> str:
    """Return the last place outside of the service, or else the last one."""
    frames = traceback.extract_tb(trace)
    outside = [frame for frame in frames if "/app/" not in frame.filename]
    if not frames:
        return ""
    frame = (outside or frames)[-1]
    return f" ({frame.filename.rpartition('/')[2]}, line {frame.lineno}, in {frame.name})"
