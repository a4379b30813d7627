"""Find the code of a strategy without running any of it."""

import sys
from importlib.machinery import PathFinder
from pathlib import Path

from app.sandbox.errors import SandboxError
from app.sandbox.rules.sources import StrategySource


def find_source(name: str) -> StrategySource:
    """Return where the strategy `module:Class` is. Raises SandboxError if its module is not on the path."""
    module, _, class_name = name.partition(":")
    if not class_name or not module:
        raise SandboxError(f"{name}: name the strategy as MODULE:CLASS.")
    top_level = module.partition(".")[0]
    spec = PathFinder.find_spec(top_level, sys.path)
    if spec is None:
        raise SandboxError(f"{name}: there is no module {top_level!r}.")
    if spec.submodule_search_locations:
        return StrategySource(module, class_name, str(Path(spec.submodule_search_locations[0]).resolve()))
    if spec.origin is None or not spec.origin.endswith(".py"):
        raise SandboxError(f"{name}: {top_level!r} is not a Python file or package.")
    return StrategySource(module, class_name, str(Path(spec.origin).resolve()))


def find_file(source: StrategySource) -> Path:
    """Return the file of the strategy's module. Raises SandboxError if there is none."""
    path = Path(source.path)
    if path.suffix == ".py":
        return path
    base = path.joinpath(*source.module.split(".")[1:])
    for candidate in (base / "__init__.py", base.with_suffix(".py")):
        if candidate.is_file():
            return candidate
    raise SandboxError(f"{source.name}: there is no module {source.module!r}.")
