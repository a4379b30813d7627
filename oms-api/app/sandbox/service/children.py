"""Start a child process for a strategy, and exchange frames with it."""

import contextlib
import fcntl
import os
import platform
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

import app
from app.clock import monotonic_seconds
from app.sandbox.errors import ChildFailed, ChildKilled, SandboxError, SandboxUnavailable
from app.sandbox.rules.failures import parse_failure
from app.sandbox.rules.frames import Frame
from app.sandbox.rules.layers import Layer, find_missing_layers
from app.sandbox.rules.limits import SandboxLimits
from app.sandbox.rules.sources import StrategySource
from app.sandbox.service.bubblewrap import build_wrapper, find_bubblewrap
from app.sandbox.service.channel import ParentChannel
from app.sandbox.service.process_time import ProcessTime

_ROOT = Path(app.__file__).resolve().parent.parent
_START = "import sys; sys.path[:0] = sys.argv[1:]; from app.sandbox.child.main import main; main()"
_PIPE_BYTES = 1 << 20  # the most that Linux allows without privileges: some blocks of bars
_POLL_SECONDS = 0.05  # between two checks of the processor time
_LAYERS = {str(layer): layer for layer in Layer}
_DEFAULT_LIMITS = SandboxLimits()


class SandboxSpec(NamedTuple):
    """The program of a child.

    `program` is a function `module:name` of this application. It gets the options, and returns
    the function to run with the strategy. With `requires_layers`, a machine with too few layers of protection
    is refused.
    """

    source: StrategySource
    program: str
    options: Mapping[str, Any]
    requires_layers: bool = True


def launch_child(spec: SandboxSpec, limits: SandboxLimits = _DEFAULT_LIMITS) -> "Child":
    """Start a child that drops its rights and then runs the strategy's code.

    Raises SandboxUnavailable, and SandboxError if it does not start.
    """
    if platform.system() != "Linux":
        raise SandboxUnavailable("The sandbox needs Linux.")
    wrapper = _build_wrapper(spec.source)
    command = [*wrapper, sys.executable, "-I", "-S", "-B", "-c", _START, *_list_code_paths()]
    process = subprocess.Popen(  # noqa: S603  # the command is fixed
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env={}, cwd="/",
        close_fds=True, start_new_session=True, bufsize=0,
    )  # fmt: skip
    child = Child(process, limits, is_wrapped=bool(wrapper))
    try:
        child.start(spec)
    except BaseException:
        child.kill()
        raise
    return child


class Child:
    """A running child. Use it as a context manager: it is killed at the end."""

    def __init__(
        self, process: "subprocess.Popen[bytes]", limits: SandboxLimits, *, is_wrapped: bool
    ) -> None:
        self._process, self._limits, self._is_wrapped = process, limits, is_wrapped
        self.layers: Sequence[Layer] = ()
        self._is_killed = False
        self._deadline = self._processor_time_limit = 0.0
        self._max_elapsed_seconds = self._max_processor_seconds = 0.0
        self._time = ProcessTime(process.pid, is_wrapped=False)
        assert process.stdin is not None  # noqa: S101  # both are pipes
        assert process.stdout is not None  # noqa: S101
        incoming, outgoing = process.stdout.fileno(), process.stdin.fileno()
        for descriptor in (incoming, outgoing):
            with contextlib.suppress(OSError):
                fcntl.fcntl(descriptor, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
        self._channel = ParentChannel(incoming, outgoing, limits.frame_bytes)

    @property
    def pid(self) -> int:
        """The id of the process that was started."""
        return self._process.pid

    def start(self, spec: SandboxSpec) -> None:
        """Send the specification, wait until the child has dropped its rights, and let it begin."""
        fields = {
            "source": spec.source, "limits": self._limits, "program": spec.program, "options": spec.options,
        }  # fmt: skip
        self._start_time_limits(self._limits.start_wall_seconds, self._limits.response_seconds)
        self._channel.send(Frame("start", fields), self._check_time)
        ready = self._receive_frame()
        if self._is_wrapped:
            self._time = ProcessTime(self._process.pid, is_wrapped=True)
        self.layers = [_LAYERS[name] for name in ready.fields["layers"]]
        self.layers += [Layer.BUBBLEWRAP] if self._is_wrapped else []
        missing = find_missing_layers(self.layers)
        if missing and spec.requires_layers:
            raise SandboxUnavailable(
                f"Untrusted code needs {' and '.join(missing)}, which this machine lacks."
            )
        self.send(Frame("go", {}))

    def send(self, frame: Frame) -> None:
        """Send a frame. It waits while the pipe of the child is full. Raises SandboxError."""
        self._start_time_limits(self._limits.response_wall_seconds, self._limits.response_seconds)
        with self._kill_after_error():
            self._require_alive()
            self._channel.send(frame, self._check_time)

    def receive(self) -> Frame:
        """Return the next frame of the child.

        Raises ChildFailed if the strategy raised an exception, and another SandboxError if the child exceeded
        a limit, sent an invalid frame, or has ended. The child is killed then.
        """
        self._start_time_limits(self._limits.response_wall_seconds, self._limits.response_seconds)
        return self._receive_frame()

    def kill(self) -> None:
        """Kill the child with all of its process group, and wait until it has ended."""
        if self._is_killed:
            return  # its id may belong to another process by now
        self._is_killed = True
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.close()
        self._process.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()

    def _receive_frame(self) -> Frame:
        with self._kill_after_error():
            self._require_alive()
            frame = self._channel.receive(self._check_time)
            if frame.kind == "failed":
                raise ChildFailed(parse_failure(frame.fields))
            return frame

    def _require_alive(self) -> None:
        if self._is_killed:
            raise ChildKilled("The strategy process has ended.")

    @contextlib.contextmanager
    def _kill_after_error(self) -> Iterator[None]:
        try:
            yield
        except SandboxError:
            self.kill()
            raise

    def _start_time_limits(self, elapsed_seconds: float, processor_seconds: float) -> None:
        """Start the time limits of one response."""
        self._max_elapsed_seconds, self._max_processor_seconds = elapsed_seconds, processor_seconds
        self._deadline = monotonic_seconds() + elapsed_seconds
        self._processor_time_limit = self._time.measure() + processor_seconds
        self._time.limit(processor_seconds)

    def _check_time(self) -> float:
        """Return the seconds to wait before the next check.

        Raises ChildKilled if a response takes too long.
        """
        if self._time.measure() > self._processor_time_limit:
            raise ChildKilled(
                "The strategy process was stopped: "
                f"it used more than {self._max_processor_seconds:g} s of processor time."
            )
        remaining_seconds = self._deadline - monotonic_seconds()
        if remaining_seconds <= 0:
            raise ChildKilled(
                f"The strategy process was stopped: it did not answer within {self._max_elapsed_seconds:g} s."
            )
        return min(remaining_seconds, _POLL_SECONDS)


def _list_code_paths() -> list[str]:
    """Return the folders from which the child imports its own code, before it runs untrusted code."""
    return [str(_ROOT), *(path for path in sys.path if path and Path(path).is_dir() and "-packages" in path)]


def _build_wrapper(source: StrategySource) -> list[str]:
    bubblewrap = find_bubblewrap()
    if bubblewrap is None:
        return []
    paths = [Path(sys.base_prefix), Path(sys.prefix), Path(source.path), *map(Path, _list_code_paths())]
    return build_wrapper(bubblewrap, paths)
