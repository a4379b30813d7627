"""Drop the rights of this process, layer by layer. None of them can be undone.

The standard library has no binding of libseccomp or Landlock, so that the calls are made directly. See
landlock(7), seccomp(2), prctl(2) and capset(2).
"""

import ctypes
import os
import platform
import resource
import signal
import struct
from collections.abc import Iterator, Sequence
from pathlib import Path

from app.sandbox.rules.layers import Layer
from app.sandbox.rules.limits import SandboxLimits
from app.sandbox.rules.system_calls import build_filter

_PR_SET_PDEATHSIG, _PR_SET_SECCOMP, _PR_SET_NO_NEW_PRIVS = 1, 22, 38
_SECCOMP_MODE_FILTER = 2
_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446  # the same numbers on all architectures
_CREATE_RULESET_VERSION, _RULE_PATH_BENEATH = 1, 1
_READ_FILE, _READ_DIRECTORY = 1 << 2, 1 << 3
# The rights to files of each version of Landlock's interface, which a program has to name to lose them.
_FILE_RIGHTS = {1: (1 << 13) - 1, 2: (1 << 14) - 1, 3: (1 << 15) - 1, 5: (1 << 16) - 1}
_NETWORK_ABI, _NETWORK_RIGHTS = 4, 0b11  # bind and connect TCP
_SCOPE_ABI, _SCOPES = 6, 0b11  # abstract sockets and signals
_CAPABILITY_VERSION = 0x20080522

_libc = ctypes.CDLL(None, use_errno=True)


def lock_down(limits: SandboxLimits, readable: Sequence[Path]) -> list[Layer]:
    """Apply every layer that the kernel has, and return them. Afterwards only `readable` can be read."""
    layers = [Layer.ISOLATED_INTERPRETER]
    if _limit_resources(limits):
        layers.append(Layer.RESOURCE_LIMITS)
    if _libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0:
        layers.append(Layer.NO_NEW_PRIVILEGES)
    if _restrict_files(readable):
        layers.append(Layer.LANDLOCK)
    if _drop_capabilities():
        layers.append(Layer.NO_CAPABILITIES)
    if _filter_system_calls():
        layers.append(Layer.SECCOMP)
    return layers


def set_parent_death_signal() -> None:
    """Let the kernel end this process when the thread that started it ends."""
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def is_linux() -> bool:
    """Return whether the layers can exist: the numbers of system calls are others elsewhere."""
    return platform.system() == "Linux"


def get_landlock_version() -> int:
    """Return the version of Landlock's interface, 0 if the kernel has none."""
    if not is_linux():
        return 0
    version: int = _libc.syscall(_CREATE_RULESET, None, ctypes.c_size_t(0), _CREATE_RULESET_VERSION)
    return max(version, 0)


def _limit_resources(limits: SandboxLimits) -> bool:
    """Limit memory, files and processes. The service limits the processor time of each response."""
    limit_by_resource = {
        resource.RLIMIT_AS: limits.memory_bytes,
        resource.RLIMIT_NOFILE: limits.open_files,
        resource.RLIMIT_NPROC: 0,
        resource.RLIMIT_FSIZE: 0,
        resource.RLIMIT_CORE: 0,
    }
    try:
        for kind, value in limit_by_resource.items():
            resource.setrlimit(kind, (value, value))
    except (OSError, ValueError):
        return False
    return True


def _restrict_files(readable: Sequence[Path]) -> bool:
    """Refuse all files but those to read, TCP connections, and signals to other processes."""
    version = get_landlock_version()
    if not version:
        return False
    attributes = struct.pack("<Q", max(rights for abi, rights in _FILE_RIGHTS.items() if abi <= version))
    if version >= _NETWORK_ABI:
        attributes += struct.pack("<Q", _NETWORK_RIGHTS)
    if version >= _SCOPE_ABI:
        attributes += struct.pack("<Q", _SCOPES)
    ruleset = _libc.syscall(_CREATE_RULESET, attributes, ctypes.c_size_t(len(attributes)), 0)
    if ruleset < 0:
        return False
    try:
        has_rules = all(_allow_reading(ruleset, path) for path in _list_existing(readable))
        return has_rules and _libc.syscall(_RESTRICT_SELF, ruleset, 0) == 0
    finally:
        os.close(ruleset)


def _list_existing(paths: Sequence[Path]) -> Iterator[Path]:
    return (path for path in paths if path.exists())


def _allow_reading(ruleset: int, path: Path) -> bool:
    descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
    rights = _READ_FILE | _READ_DIRECTORY if path.is_dir() else _READ_FILE
    try:
        rule = struct.pack("<Qi", rights, descriptor)
        added: int = _libc.syscall(_ADD_RULE, ruleset, _RULE_PATH_BENEATH, rule, 0)
    finally:
        os.close(descriptor)
    return added == 0


def _drop_capabilities() -> bool:
    header = struct.pack("<Ii", _CAPABILITY_VERSION, 0)
    dropped: int = _libc.capset(header, bytes(24))
    return dropped == 0


def _filter_system_calls() -> bool:
    program = build_filter(platform.machine())
    if program is None:
        return False
    buffer = ctypes.create_string_buffer(program, len(program))
    length = len(program) // 8
    pointer = struct.pack("@HxxxxxxP", length, ctypes.addressof(buffer))
    applied: int = _libc.prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, pointer, 0, 0)
    return applied == 0
