"""Find the module of the strategy and its class. All other modules belong to Python."""

import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.machinery import ModuleSpec
from importlib.util import spec_from_file_location
from pathlib import Path
from types import ModuleType

from app.sandbox.errors import InvalidStrategy
from app.sandbox.rules.sources import StrategySource
from slackoms_strategy import Strategy


class StrategyFinder:
    """Imports the top-level module of a strategy from its path. Its other modules are found by Python."""

    def __init__(self, source: StrategySource) -> None:
        self._name, self._path = source.top_level, Path(source.path)

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return where the module is, None for another one."""
        del path, target
        if name != self._name:
            return None
        if self._path.suffix == ".py":
            return spec_from_file_location(name, self._path)
        return spec_from_file_location(
            name, self._path / "__init__.py", submodule_search_locations=[str(self._path)]
        )


class RefusedModules:
    """Says why a module that nothing else has found cannot be imported. It comes last."""

    def __init__(self, source: StrategySource) -> None:
        self._own_name = source.top_level

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Raise ModuleNotFoundError, unless the module would be the strategy's own."""
        del path, target
        if name.partition(".")[0] != self._own_name:
            message = (
                f"{name} cannot be imported in the sandbox: there are only slackoms_strategy, the strategy's "
                "own package, and modules of Python such as math and statistics."
            )
            raise ModuleNotFoundError(message, name=name)
        return None


def load_class(source: StrategySource) -> type[Strategy]:
    """Return the class of a strategy. Raises InvalidStrategy, and the errors of its module."""
    sys.meta_path += [StrategyFinder(source), RefusedModules(source)]
    strategy_class = getattr(import_module(source.module), source.class_name, None)
    if not (isinstance(strategy_class, type) and issubclass(strategy_class, Strategy)):
        raise InvalidStrategy(f"{source.name} is not a subclass of slackoms_strategy.Strategy.")
    return strategy_class
