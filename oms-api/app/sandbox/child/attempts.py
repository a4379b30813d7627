"""Attempts to leave the sandbox. `python -m app.sandbox` and the tests check that each fails."""

import ctypes
import os
import signal
import sys
import threading
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from app.sandbox.child.main import ChildEnvironment, Program
from app.sandbox.rules.frames import Frame

_libc = ctypes.CDLL(None, use_errno=True)
_DESCRIPTORS = range(64)
_PIPES_AND_NOTHING = 5  # the three standard streams are replaced by nothing
_GIGABYTE = 1 << 30
_INTERNET, _UNIX, _STREAM, _DATAGRAM = 2, 1, 1, 2
_TRACE_ATTACH, _ANONYMOUS_PRIVATE, _READ_WRITE_EXECUTE = 16, 0x22, 7
_FAILED = ctypes.c_void_p(-1).value


def prepare(options: Mapping[str, Any]) -> Program:
    """Return the program that makes all attempts, and reports why each failed: None if it succeeded."""
    attempts = build_attempts(options["parent"])

    def run(environment: ChildEnvironment) -> None:
        refusals = {name: _describe_failure(attempt) for name, attempt in attempts.items()}
        environment.channel.send(Frame("attempts", refusals))

    return run


def _describe_failure(attempt: Callable[[], object]) -> str | None:
    try:
        attempt()
    except Exception as error:  # noqa: BLE001  # how it fails does not matter
        return f"{type(error).__name__}: {error}"
    return None


def _call_c_library(name: str, *arguments: Any) -> int:
    """Call a function of the C library. Raises OSError if it fails."""
    result: int = getattr(_libc, name)(*arguments)
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result


def _write_file() -> None:
    Path("/tmp/slackoms-sandbox").write_text("x", encoding="utf-8")  # noqa: S108  # it must fail


def _map_executable_memory() -> None:
    _libc.mmap.restype = ctypes.c_void_p
    address = _libc.mmap(None, ctypes.c_size_t(4096), _READ_WRITE_EXECUTE, _ANONYMOUS_PRIVATE, -1, 0)
    if address == _FAILED:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def _read_memory(process: int) -> None:
    local = ctypes.create_string_buffer(8)
    vector = (ctypes.c_size_t * 2)(ctypes.addressof(local), 8)
    _call_c_library("process_vm_readv", process, vector, 1, vector, 1, 0)


def _use_inherited_descriptor() -> None:
    open_descriptors = [number for number in _DESCRIPTORS if _is_open(number)]
    if len(open_descriptors) <= _PIPES_AND_NOTHING:
        raise OSError(f"only {len(open_descriptors)} files are open")


def _is_open(descriptor: int) -> bool:
    try:
        os.fstat(descriptor)
    except OSError:
        return False
    return True


def _find_secret_environment() -> None:
    allowed_variables = {"LC_CTYPE", "PWD"}  # set by Python and by bubblewrap
    if not os.environ.keys() - allowed_variables:  # it must be empty
        raise KeyError("there are no variables")


def _import_other_code() -> None:
    sys.path.insert(0, str(Path(__file__).parents[3]))
    import_module("app.config")


def _start_thread() -> None:
    threading.Thread(target=int).start()


def _ignore_processor_limit() -> None:
    signal.signal(signal.SIGXCPU, signal.SIG_IGN)


def build_attempts(parent: int) -> dict[str, Callable[[], object]]:
    """Return the attempts by name. `parent` is the process of the service."""
    return {
        "read a file": lambda: Path("/etc/passwd").read_text(encoding="utf-8"),
        "list a folder": lambda: os.listdir("/"),  # noqa: PTH208
        "write a file": _write_file,
        "delete a file": lambda: Path("/tmp/slackoms-sandbox").unlink(),  # noqa: S108
        "read the environment of the parent": lambda: Path(f"/proc/{parent}/environ").read_bytes(),
        "read its own memory map": lambda: Path("/proc/self/maps").read_bytes(),
        "import the socket module": lambda: import_module("socket").socket(),
        "open a TCP socket": lambda: _call_c_library("socket", _INTERNET, _STREAM, 0),
        "open a UDP socket": lambda: _call_c_library("socket", _INTERNET, _DATAGRAM, 0),
        "open a Unix socket": lambda: _call_c_library("socket", _UNIX, _STREAM, 0),
        "fork": os.fork,
        "start a program": lambda: os.execv("/bin/true", ["true"]),  # noqa: S606
        "start a thread": _start_thread,
        "signal the parent": lambda: os.kill(parent, 0),
        "signal everything": lambda: os.kill(-1, 0),
        "trace the parent": lambda: _call_c_library("ptrace", _TRACE_ATTACH, parent, 0, 0),
        "read the memory of the parent": lambda: _read_memory(parent),
        "become another user": lambda: os.setuid(65534),
        "mount a file system": lambda: _call_c_library("mount", b"none", b"/", b"tmpfs", 0, None),
        "raise its limits": lambda: import_module("resource").setrlimit(0, (-1, -1)),
        "ignore the end of its processor time": _ignore_processor_limit,
        "allocate a gigabyte": lambda: bytearray(_GIGABYTE),
        "map executable memory": _map_executable_memory,
        "load compiled code": lambda: import_module("_sqlite3"),
        "use an inherited descriptor": _use_inherited_descriptor,
        "duplicate a descriptor": lambda: os.dup(0),
        "find variables in the environment": _find_secret_environment,
        "import other code of the service": _import_other_code,
    }
