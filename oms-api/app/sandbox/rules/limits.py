"""The resources that a child may use."""

from typing import NamedTuple

MEGABYTE = 1_000_000


class SandboxLimits(NamedTuple):
    """The limits of a child.

    `callback_seconds` is the processor time and `callback_wall_seconds` the time that one callback of the
    strategy may take. After it, the child reports the line that was running. `response_seconds` and
    `response_wall_seconds` limit one response, which may need many callbacks. After them, the child is
    killed. `log_bytes` is the maximum length of the text of a response.
    """

    memory_bytes: int = 512 * MEGABYTE
    callback_seconds: float = 5.0
    callback_wall_seconds: float = 30.0
    response_seconds: float = 60.0
    response_wall_seconds: float = 300.0
    start_wall_seconds: float = 60.0
    frame_bytes: int = 16 * MEGABYTE
    log_bytes: int = 64_000
    open_files: int = 16
