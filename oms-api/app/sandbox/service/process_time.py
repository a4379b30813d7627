"""The processor time of a child, measured and limited from outside."""

import contextlib
import math
import resource
import time
from pathlib import Path

_MARGIN_SECONDS = 2  # the service, which can say why, comes before the kernel


class ProcessTime:
    """The processor time of a process, or of its innermost child if `is_wrapped`."""

    def __init__(self, pid: int, *, is_wrapped: bool) -> None:
        self._pid = _find_innermost(pid) if is_wrapped else pid
        self._clock = (~self._pid << 3) | 2  # see clock_getcpuclockid(3)

    def measure(self) -> float:
        """Return the seconds used so far, 0 if the process has ended."""
        try:
            return time.clock_gettime(self._clock)
        except OSError:
            return 0.0

    def limit(self, seconds: float) -> None:
        """Let the kernel end the process after that many more seconds, even if the service has crashed."""
        last = math.ceil(self.measure() + seconds) + _MARGIN_SECONDS
        with contextlib.suppress(OSError, ValueError):
            resource.prlimit(self._pid, resource.RLIMIT_CPU, (last, resource.RLIM_INFINITY))


def _find_innermost(pid: int) -> int:
    """Return the last process of a chain of children."""
    path = Path(f"/proc/{pid}/task/{pid}/children")
    try:
        children = path.read_text(encoding="ascii").split()
    except OSError:
        return pid
    return _find_innermost(int(children[0])) if children else pid
