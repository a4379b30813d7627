"""Bubblewrap around a child, where it works: it needs user namespaces, which containers often lack."""

import shutil
import subprocess
from collections.abc import Sequence
from functools import cache
from pathlib import Path

_SYSTEM_FOLDERS = ("/usr", "/lib", "/lib32", "/lib64", "/etc/ld.so.cache")
_ISOLATION = (
    "--unshare-all", "--die-with-parent", "--clearenv", "--cap-drop", "ALL", "--dev", "/dev", "--chdir", "/",
)  # fmt: skip
_TIMEOUT_SECONDS = 10


@cache
def find_bubblewrap() -> str | None:
    """Return the path of bubblewrap if it works here. It is tried once."""
    path = shutil.which("bwrap")
    if path is None:
        return None
    command = [*build_wrapper(path, []), "/usr/bin/env", "true"]
    try:
        result = subprocess.run(  # noqa: S603  # the command is fixed
            command, capture_output=True, timeout=_TIMEOUT_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return path if result.returncode == 0 else None


def build_wrapper(bubblewrap: str, readable: Sequence[Path]) -> list[str]:
    """Return the command to put before a child's. The child sees only system libraries and `readable`."""
    command = [bubblewrap, *_ISOLATION]
    for path in (*map(Path, _SYSTEM_FOLDERS), *readable):
        command += ["--ro-bind-try", str(path), str(path)]
    return [*command, "--"]
