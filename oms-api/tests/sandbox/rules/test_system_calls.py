"""The filter of system calls allows what is listed, and refuses the rest."""

import struct

import pytest

from app.sandbox.rules.system_calls import ARCHITECTURES, build_filter

ALLOW, KILL, REFUSE = 0x7FFF0000, 0x80000000, 0x00050001
LOAD, EQUAL, AT_LEAST, ANY_BIT, RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
TESTS = {
    EQUAL: lambda value, operand: value == operand,
    AT_LEAST: lambda value, operand: value >= operand,
    ANY_BIT: lambda value, operand: bool(value & operand),
}
MACHINES = sorted(ARCHITECTURES)


def run_filter(machine, number, *arguments, audit_code=None):
    """Run the program as the kernel does, and return its decision."""
    architecture = ARCHITECTURES[machine]
    code = architecture.audit_code if audit_code is None else audit_code
    call_record = struct.pack("<IIQ6Q", number, code, 0, *arguments, *[0] * (6 - len(arguments)))
    program = list(struct.iter_unpack("<HBBI", build_filter(machine) or b""))
    position = value = 0
    while True:
        operation, if_true, if_false, operand = program[position]
        position += 1
        if operation == LOAD:
            (value,) = struct.unpack_from("<I", call_record, operand)
        elif operation == RETURN:
            return operand
        else:
            position += if_true if TESTS[operation](value, operand) else if_false


@pytest.mark.parametrize("machine", MACHINES)
def test_each_listed_call_is_allowed_and_each_other_one_refused(machine):
    numbers = set(ARCHITECTURES[machine].numbers.values())
    assert all(run_filter(machine, number) == ALLOW for number in numbers)
    assert all(run_filter(machine, number) == REFUSE for number in range(600) if number not in numbers)


@pytest.mark.parametrize("machine", MACHINES)
def test_files_are_only_opened_to_read_and_memory_is_never_executable(machine):
    numbers = ARCHITECTURES[machine].numbers
    close_on_exec = 0o2000000
    assert run_filter(machine, numbers["openat"], 0, 0, close_on_exec) == ALLOW
    for flags in (1, 2, 0x40, 0x200, 0x400, 0x410000, close_on_exec | 1):
        assert run_filter(machine, numbers["openat"], 0, 0, flags) == REFUSE
    for name in ("mmap", "mprotect"):
        assert run_filter(machine, numbers[name], 0, 0, 3) == ALLOW
        assert run_filter(machine, numbers[name], 0, 0, 7) == REFUSE
    assert run_filter(machine, numbers["rt_sigaction"], 14) == ALLOW
    assert run_filter(machine, numbers["rt_sigaction"], 24) == REFUSE


@pytest.mark.parametrize("machine", MACHINES)
def test_another_interface_of_the_processor_ends_the_process(machine):
    assert run_filter(machine, 0, audit_code=0x40000003) == KILL  # 32-bit calls have other numbers
    if machine == "x86_64":
        assert run_filter(machine, 0x40000000 | 41) == KILL


def test_an_unknown_processor_has_no_filter():
    assert build_filter("riscv64") is None
