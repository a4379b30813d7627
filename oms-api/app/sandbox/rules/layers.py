"""The layers of protection, and which of them are enough for code that is not trusted."""

from collections.abc import Collection
from enum import StrEnum


class Layer(StrEnum):
    """A protection of the host from a child process."""

    ISOLATED_INTERPRETER = "isolated interpreter"  # no environment, no site packages, two pipes
    RESOURCE_LIMITS = "resource limits"
    NO_NEW_PRIVILEGES = "no new privileges"
    NO_CAPABILITIES = "no capabilities"
    LANDLOCK = "Landlock"  # files, TCP, signals
    SECCOMP = "seccomp"  # system calls
    BUBBLEWRAP = "bubblewrap"  # namespaces: no network, no other processes, few files


def find_missing_layers(layers: Collection[Layer]) -> list[str]:
    """Return the layers that untrusted code needs besides these. Empty if these are enough."""
    missing = []
    if Layer.SECCOMP not in layers:
        missing.append("seccomp")
    if Layer.LANDLOCK not in layers and Layer.BUBBLEWRAP not in layers:
        missing.append("Landlock or bubblewrap")
    if Layer.RESOURCE_LIMITS not in layers:
        missing.append("resource limits")
    return missing
