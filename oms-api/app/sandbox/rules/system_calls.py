"""The filter of system calls: a program for seccomp that allows what Python needs to compute, and no more.

A refused call fails with EPERM, so that a strategy gets an exception that it can show. The format is
`struct sock_filter` in linux/filter.h. The numbers are in the kernel's table of each architecture.
"""

import struct
from collections.abc import Iterator, Mapping
from errno import EPERM
from typing import NamedTuple

_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_ALLOW, _KILL, _REFUSE = 0x7FFF0000, 0x80000000, 0x00050000 | EPERM
_NUMBER_OFFSET, _ARCHITECTURE_OFFSET, _ARGUMENTS_OFFSET = 0, 4, 16
_PROT_EXEC = 0x4
_SIGXCPU = 24
# O_WRONLY, O_RDWR, O_CREAT, O_TRUNC, O_APPEND and the bit of O_TMPFILE, which both architectures share.
_WRITES = 0x1 | 0x2 | 0x40 | 0x200 | 0x400 | 0x400000


class Architecture(NamedTuple):
    """The terms of a processor. `alien_numbers` begins the numbers of another interface, 0 for none."""

    audit_code: int
    alien_numbers: int
    numbers: Mapping[str, int]


class ForbiddenArgument(NamedTuple):
    """An argument of a system call, counted from 0, that must not equal a value, or have any of its bits."""

    argument: int
    test: int
    value: int


_CONDITIONS = {
    "openat": ForbiddenArgument(2, _ANY_BIT, _WRITES),
    "mmap": ForbiddenArgument(2, _ANY_BIT, _PROT_EXEC),
    "mprotect": ForbiddenArgument(2, _ANY_BIT, _PROT_EXEC),
    "rt_sigaction": ForbiddenArgument(0, _EQUAL, _SIGXCPU),  # the end of the processor time cannot be ignored
}
_X86_64 = {
    "read": 0, "write": 1, "close": 3, "stat": 4, "fstat": 5, "lstat": 6, "lseek": 8, "mmap": 9,
    "mprotect": 10, "munmap": 11, "brk": 12, "rt_sigaction": 13, "rt_sigreturn": 15, "pread64": 17,
    "sched_yield": 24, "mremap": 25, "madvise": 28, "nanosleep": 35, "setitimer": 38, "getpid": 39,
    "exit": 60,
    "readlink": 89, "gettimeofday": 96, "getuid": 102, "getgid": 104, "geteuid": 107, "getegid": 108,
    "sigaltstack": 131, "gettid": 186, "futex": 202, "getdents64": 217, "restart_syscall": 219,
    "clock_gettime": 228, "clock_getres": 229, "clock_nanosleep": 230, "exit_group": 231, "openat": 257,
    "newfstatat": 262, "readlinkat": 267, "getrandom": 318, "statx": 332,
}  # fmt: skip
_AARCH64 = {
    "openat": 56, "close": 57, "getdents64": 61, "lseek": 62, "read": 63, "write": 64, "pread64": 67,
    "readlinkat": 78, "newfstatat": 79, "fstat": 80, "exit": 93, "exit_group": 94, "futex": 98,
    "nanosleep": 101,
    "setitimer": 103, "clock_gettime": 113, "clock_getres": 114, "clock_nanosleep": 115, "sched_yield": 124,
    "restart_syscall": 128, "sigaltstack": 132, "rt_sigaction": 134, "rt_sigreturn": 139,
    "gettimeofday": 169, "getpid": 172, "getuid": 174, "geteuid": 175, "getgid": 176, "getegid": 177,
    "gettid": 178, "brk": 214, "munmap": 215, "mremap": 216, "mmap": 222, "mprotect": 226, "madvise": 233,
    "getrandom": 278, "statx": 291,
}  # fmt: skip
ARCHITECTURES = {
    "x86_64": Architecture(0xC000003E, 0x40000000, _X86_64),
    "aarch64": Architecture(0xC00000B7, 0, _AARCH64),
}


def build_filter(machine: str) -> bytes | None:
    """Return the program of a processor as `platform.machine` names it, None if it is not known."""
    architecture = ARCHITECTURES.get(machine)
    if architecture is None:
        return None
    return b"".join(struct.pack("<HBBI", *instruction) for instruction in _list_instructions(architecture))


def _list_instructions(architecture: Architecture) -> Iterator[tuple[int, int, int, int]]:
    """Yield (operation, instructions to skip if true, if false, operand)."""
    yield _LOAD, 0, 0, _ARCHITECTURE_OFFSET
    yield _EQUAL, 1, 0, architecture.audit_code
    yield _RETURN, 0, 0, _KILL
    yield _LOAD, 0, 0, _NUMBER_OFFSET
    if architecture.alien_numbers:
        yield _AT_LEAST, 0, 1, architecture.alien_numbers
        yield _RETURN, 0, 0, _KILL
    for name, number in architecture.numbers.items():
        condition = _CONDITIONS.get(name)
        if condition is None:
            yield _EQUAL, 0, 1, number
            yield _RETURN, 0, 0, _ALLOW
        else:
            yield _EQUAL, 0, 4, number
            yield _LOAD, 0, 0, _ARGUMENTS_OFFSET + 8 * condition.argument
            yield condition.test, 0, 1, condition.value
            yield _RETURN, 0, 0, _REFUSE
            yield _RETURN, 0, 0, _ALLOW
    yield _RETURN, 0, 0, _REFUSE
