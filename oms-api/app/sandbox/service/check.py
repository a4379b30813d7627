"""Check which layers of protection hold on this machine."""

import ctypes
import os
import platform
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from app.sandbox.child.lockdown import get_landlock_version, is_linux
from app.sandbox.rules.layers import Layer
from app.sandbox.rules.sources import StrategySource
from app.sandbox.rules.system_calls import build_filter
from app.sandbox.service.bubblewrap import find_bubblewrap
from app.sandbox.service.children import SandboxSpec, launch_child

_PR_GET_SECCOMP = 21
_PROGRAM = "app.sandbox.child.attempts:prepare"


class SandboxCheck(NamedTuple):
    """The layers that hold, and why each attempt to leave the sandbox failed: None if it did not fail."""

    layers: Sequence[Layer]
    refusals: Mapping[str, str | None]


def run_attempts() -> SandboxCheck:
    """Start a child, and let it try to leave the sandbox. Raises SandboxError if it does not start."""
    source = StrategySource("none", "None", str(Path(__file__).parents[1] / "rules"))
    with launch_child(SandboxSpec(source, _PROGRAM, {"parent": os.getpid()}, requires_layers=False)) as child:
        return SandboxCheck(child.layers, child.receive().fields)


def list_available_layers() -> list[Layer]:
    """Return the layers that this machine offers to a child. No child is started."""
    if not is_linux():
        return [Layer.ISOLATED_INTERPRETER, Layer.RESOURCE_LIMITS]
    layers = [
        Layer.ISOLATED_INTERPRETER,
        Layer.RESOURCE_LIMITS,
        Layer.NO_NEW_PRIVILEGES,
        Layer.NO_CAPABILITIES,
    ]
    if get_landlock_version():
        layers.append(Layer.LANDLOCK)
    if build_filter(platform.machine()) and ctypes.CDLL(None).prctl(_PR_GET_SECCOMP, 0, 0, 0, 0) >= 0:
        layers.append(Layer.SECCOMP)
    if find_bubblewrap():
        layers.append(Layer.BUBBLEWRAP)
    return layers
