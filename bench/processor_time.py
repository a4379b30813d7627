"""The processor time of a process and its descendants, from /proc (Linux)."""

import os
from pathlib import Path

_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
_PARENT, _TIMES = 1, slice(11, 15)  # fields after the process name: own time, and that of ended children


def read_processor_seconds(process_id: int) -> float:
    """Return the seconds that the process and its descendants used so far, in user and system mode."""
    processes = dict(_read_processes())
    tree = {process_id}
    grows = True
    while grows:
        children = {child for child, fields in processes.items() if int(fields[_PARENT]) in tree}
        grows = not children <= tree
        tree |= children
    ticks = sum(sum(map(int, processes[member][_TIMES])) for member in tree & processes.keys())
    return ticks / _TICKS_PER_SECOND


def _read_processes() -> list[tuple[int, list[str]]]:
    processes = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                stat = (folder / "stat").read_text()
            except OSError:
                continue  # it has ended
            # the name may contain spaces and parentheses
            processes.append((int(folder.name), stat.rpartition(")")[2].split()))
    return processes
