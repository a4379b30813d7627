"""The code that strategies may run: entry points of packages, and modules that the operator allows."""

from collections.abc import Callable, Collection, Mapping
from importlib.metadata import entry_points
from typing import NamedTuple

from app.backtests.errors import InvalidBacktest
from app.backtests.service.loading import locate_code
from app.sandbox.errors import SandboxUnavailable
from app.sandbox.rules.sources import StrategySource
from app.sandbox.service.policy import SandboxPolicy
from app.strategies.errors import build_field_error

GROUP = "slackoms.strategies"  # of entry points, in the metadata of packages
EVERY_MODULE = "*"
_EXAMPLES = "slackoms_strategy.examples"
EXAMPLES: Mapping[str, str] = {
    "moving_average_cross": f"{_EXAMPLES}.moving_average_cross:MovingAverageCross",
    "breakout": f"{_EXAMPLES}.breakout:Breakout",
    "pairs": f"{_EXAMPLES}.pairs:Pairs",
    "rebalance": f"{_EXAMPLES}.rebalance:Rebalance",
}


class FoundCode(NamedTuple):
    """The code of a strategy: its name as MODULE:CLASS, where it is, and the hash of its module."""

    entry_point: str
    source: StrategySource
    code_hash: str
    is_sandboxed: bool


def list_entry_points() -> dict[str, str]:
    """Return MODULE:CLASS by the names of the entry points of installed packages."""
    return {point.name: point.value for point in entry_points(group=GROUP)}


class CodeCatalog:
    """Finds the code of strategies, and runs none of it.

    `modules` are those that may be named as MODULE:CLASS, "*" for all.
    """

    def __init__(
        self,
        modules: Collection[str],
        policy: SandboxPolicy,
        list_installed: Callable[[], Mapping[str, str]] = list_entry_points,
    ) -> None:
        self._modules, self._policy, self._list_installed = frozenset(modules), policy, list_installed

    def list_names(self) -> dict[str, str]:
        """Return MODULE:CLASS by the name of each entry point."""
        return {**EXAMPLES, **self._list_installed()}

    def find(self, entry_point: str) -> FoundCode:
        """Return the code of an entry point's name or MODULE:CLASS. Raises Invalid for `entry_point`."""
        names = self.list_names()
        class_path = names.get(entry_point, entry_point)
        if class_path not in names.values() and not self._is_allowed(class_path):
            known_names = ", ".join(sorted(names))
            message = (
                f"There is no such entry point. Known are: {known_names}. STRATEGY_MODULES allows others."
            )
            raise build_field_error("entry_point", message, "unknown")
        try:
            located = locate_code(class_path)
            return FoundCode(class_path, *located, self._policy.requires_sandbox(class_path))
        except InvalidBacktest as error:
            raise build_field_error("entry_point", str(error), "unknown") from None
        except SandboxUnavailable as error:
            raise build_field_error("entry_point", str(error), "no_sandbox") from None

    def _is_allowed(self, name: str) -> bool:
        module, separator, _ = name.partition(":")
        if not separator:
            return False
        parts = module.split(".")
        parents = {".".join(parts[:count]) for count in range(1, len(parts) + 1)}
        return EVERY_MODULE in self._modules or bool(parents & self._modules)
