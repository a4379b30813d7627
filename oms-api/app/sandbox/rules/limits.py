"""The resources that a child may use."""

from typing import NamedTuple

MEGABYTE = 1_000_000


class SandboxLimits(NamedTuple):
    """The limits of a child.

    `callback_seconds` is the processor time and `callback_wall_seconds` the time that one callback of the
    strategy may take; the child itself reports where it was then. `answer_seconds` and `answer_wall_seconds`
    are those of one answer, which can be that of many callbacks: then the child is killed. `log_bytes` is the
    most text of an answer.
    """

    memory_bytes: int = 512 * MEGABYTE
    callback_seconds: float = 5.0
    callback_wall_seconds: float = 30.0
    answer_seconds: float = 60.0
    answer_wall_seconds: float = 300.0
    start_wall_seconds: float = 60.0
    frame_bytes: int = 16 * MEGABYTE
    log_bytes: int = 64_000
    open_files: int = 16
