"""Which code strategies may run: entry points of installed packages, and modules that the operator allows."""

import traceback
from collections.abc import Callable, Collection, Mapping
from importlib.metadata import entry_points
from types import TracebackType
from typing import Any, NamedTuple

import orjson

from app.backtests.errors import InvalidBacktest
from app.backtests.service.loading import compute_code_hash, load_strategy
from app.strategies.errors import refuse_field
from slackoms_strategy import InvalidParameter, Strategy, list_parameters

GROUP = "slackoms.strategies"  # of entry points, in the metadata of packages
EVERY_MODULE = "*"
_EXAMPLES = "slackoms_strategy.examples"
EXAMPLES: Mapping[str, str] = {
    "moving_average_cross": f"{_EXAMPLES}.moving_average_cross:MovingAverageCross",
    "breakout": f"{_EXAMPLES}.breakout:Breakout",
    "pairs": f"{_EXAMPLES}.pairs:Pairs",
    "rebalance": f"{_EXAMPLES}.rebalance:Rebalance",
}


class StrategyCode(NamedTuple):
    """The class of a strategy, its name as MODULE:CLASS, and the hash of its module."""

    owner: type[Strategy]
    entry_point: str
    code_hash: str


def list_entry_points() -> dict[str, str]:
    """Return MODULE:CLASS by the names of the entry points of installed packages."""
    return {point.name: point.value for point in entry_points(group=GROUP)}


class CodeCatalog:
    """Finds the code of strategies. `modules` are those that may be named as MODULE:CLASS, "*" for all."""

    def __init__(
        self,
        modules: Collection[str] = (),
        list_installed: Callable[[], Mapping[str, str]] = list_entry_points,
    ) -> None:
        self._modules, self._list_installed = frozenset(modules), list_installed

    def list_names(self) -> dict[str, str]:
        """Return MODULE:CLASS by the name of each entry point."""
        return {**EXAMPLES, **self._list_installed()}

    def load(self, entry_point: str) -> StrategyCode:
        """Return the code of an entry point's name or MODULE:CLASS. Raise Invalid for `entry_point`."""
        names = self.list_names()
        class_path = names.get(entry_point, entry_point)
        if class_path not in names.values() and not self._is_allowed(class_path):
            known = ", ".join(sorted(names))
            message = f"There is no such entry point. Known are: {known}. STRATEGY_MODULES allows others."
            raise refuse_field("entry_point", message, "unknown")
        try:
            owner = load_strategy(class_path)
            return StrategyCode(owner, class_path, compute_code_hash(owner))
        except InvalidBacktest as error:
            raise refuse_field("entry_point", str(error), "unknown") from None
        except Exception as error:
            message = f"The module cannot be imported: {describe_failure(error)}"
            raise refuse_field("entry_point", message[:500], "failed") from error

    def _is_allowed(self, name: str) -> bool:
        module, separator, _ = name.partition(":")
        if not separator:
            return False
        parts = module.split(".")
        parents = {".".join(parts[:count]) for count in range(1, len(parts) + 1)}
        return EVERY_MODULE in self._modules or bool(parents & self._modules)


def parse_parameters(owner: type[Strategy], values: Mapping[str, Any]) -> dict[str, Any]:
    """Return all values of a strategy's parameters. Raise Invalid with the field of a wrong one."""
    try:
        strategy = owner(**values)
    except InvalidParameter as error:
        raise refuse_field(f"parameters.{error.name}", str(error), "out_of_range") from None
    return {parameter.name: getattr(strategy, parameter.name) for parameter in list_parameters(owner)}


def serialize_parameters(values: Mapping[str, Any]) -> str:
    """Return parameters as canonical JSON: whole numbers, texts and booleans as they are, others as text."""
    plain = {name: value if isinstance(value, bool | int) else str(value) for name, value in values.items()}
    return orjson.dumps(plain, option=orjson.OPT_SORT_KEYS).decode()


def describe_parameters(owner: type[Strategy]) -> list[dict[str, Any]]:
    """Return what a form shows of each parameter: type, default, range and description."""
    return [
        {**parameter.describe()._asdict(), "choices": list(parameter.describe().choices)}
        for parameter in list_parameters(owner)
    ]


def describe_failure(error: BaseException) -> str:
    """Return an exception with the file and line of the strategy's code where it was raised."""
    place = _find_place(error.__traceback__)
    return f"{type(error).__name__}: {error}{place}"


def _find_place(trace: TracebackType | None) -> str:
    """Return the last place outside of the service, or else the last one."""
    frames = traceback.extract_tb(trace)
    outside = [frame for frame in frames if "/app/" not in frame.filename]
    if not frames:
        return ""
    frame = (outside or frames)[-1]
    return f" ({frame.filename.rpartition('/')[2]}, line {frame.lineno}, in {frame.name})"
