"""The program of a child: it prepares trusted code, drops its rights, and then runs the strategy."""

import os
import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

from app.sandbox.child.channel import ChildChannel
from app.sandbox.child.lockdown import lock_down, set_parent_death_signal
from app.sandbox.child.output import LogBuffer
from app.sandbox.errors import InvalidFrame
from app.sandbox.rules.failures import describe_failure
from app.sandbox.rules.frames import Frame
from app.sandbox.rules.limits import SandboxLimits
from app.sandbox.rules.sources import StrategySource

# Modules of Python that strategies can use. Afterwards no compiled code can be loaded.
_PRELOADED_MODULES = (
    "array", "bisect", "calendar", "cmath", "collections", "csv", "dataclasses", "datetime", "decimal",
    "enum", "fractions", "functools", "hashlib", "heapq", "itertools", "json", "linecache", "math",
    "operator", "random", "re", "statistics", "string", "struct", "traceback", "typing", "zoneinfo",
)  # fmt: skip


class ChildEnvironment(NamedTuple):
    """The environment of a program in a child: its pipes, the strategy, its limits and its output."""

    channel: ChildChannel
    source: StrategySource
    limits: SandboxLimits
    output: LogBuffer


Program = Callable[[ChildEnvironment], None]
PrepareProgram = Callable[[Mapping[str, Any]], Program]  # takes the options of `launch_child`


def main() -> None:
    """Run the program that the first frame names, until the service closes the pipe."""
    set_parent_death_signal()
    channel = ChildChannel(*_move_pipes(), SandboxLimits().frame_bytes)
    try:
        _run_program(channel)
    except EOFError:
        os._exit(0)


def _run_program(channel: ChildChannel) -> None:
    fields = channel.receive().fields
    source, limits = StrategySource(*fields["source"]), SandboxLimits(*fields["limits"])
    output = LogBuffer(limits.log_bytes)
    try:
        module, _, name = fields["program"].partition(":")
        prepare: PrepareProgram = getattr(import_module(module), name)
        program = prepare(fields["options"])
        for preloaded in _PRELOADED_MODULES:
            import_module(preloaded)
        layers = lock_down(limits, _list_readable(source))
        sys.path[:] = _list_library_paths()
        del sys.argv[1:]
        sys.stdout = sys.stderr = output
        channel.send(Frame("ready", {"layers": layers}))
        channel.receive()  # the service has found the layers sufficient
        program(ChildEnvironment(channel, source, limits, output))
    except EOFError:
        raise
    except BaseException as error:  # noqa: BLE001  # the process ends here, and reports it
        failure = getattr(error, "failure", None) or describe_failure(error, source.path)
        _report_end(channel, Frame("failed", failure._asdict() | {"log": output.take()}))


def _report_end(channel: ChildChannel, frame: Frame) -> None:
    try:
        channel.send(frame)
    except (OSError, InvalidFrame):
        os._exit(1)


def _move_pipes() -> tuple[int, int]:
    """Return the two pipes, and replace the standard streams by nothing."""
    incoming, outgoing = os.dup(0), os.dup(1)
    null_descriptor = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(null_descriptor, stream)
    os.close(null_descriptor)
    return incoming, outgoing


def _list_library_paths() -> list[str]:
    library = Path(os.__file__).parent
    return [str(library), str(library / "lib-dynload")]


def _list_readable(source: StrategySource) -> list[Path]:
    """Return the paths that the strategy can read: its own code, Python's library, and time zones."""
    return [Path(source.path), Path(os.__file__).parent, Path("/usr/share/zoneinfo")]
