"""Run a strategy by its name, in this process or in a sandbox."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from app.backtests.rules.blocks import BarBlock
from app.backtests.rules.settings import BacktestSettings
from app.backtests.service.engine import BacktestEngine, BacktestRun
from app.backtests.service.loading import create_strategy, load_strategy, locate_code
from app.backtests.service.recorder import Recorder
from app.backtests.service.sandboxed import SandboxedBacktest, SandboxedStrategyCode, inspect_sandboxed
from app.sandbox.rules.limits import SandboxLimits
from slackoms_strategy import ParameterDescription, list_parameters


class FinishedRun(NamedTuple):
    """A finished run, the values of the strategy's parameters, and the hash of its code."""

    run: BacktestRun
    parameters: Mapping[str, object]
    code_hash: str


RunStrategy = Callable[[Sequence[str], Recorder, Iterable[BarBlock]], FinishedRun]


def inspect_strategy(
    name: str, sets: Sequence[Mapping[str, str]], *, is_trusted: bool
) -> list[ParameterDescription]:
    """Return the parameters of a strategy. Raises InvalidBacktest if one of the sets is wrong."""
    if not is_trusted:
        return inspect_sandboxed(locate_code(name).source, sets)
    owner = load_strategy(name)
    for parameters in sets:
        create_strategy(owner, parameters)
    return [parameter.describe() for parameter in list_parameters(owner)]


def prepare_trusted(name: str, parameters: Mapping[str, Any], settings: BacktestSettings) -> RunStrategy:
    """Return the runner of a strategy in this process. Raises InvalidBacktest and StrategyFailed."""
    owner = load_strategy(name)
    strategy = create_strategy(owner, parameters)
    code_hash = locate_code(name).code_hash

    def run(symbols: Sequence[str], recorder: Recorder, blocks: Iterable[BarBlock]) -> FinishedRun:
        engine_run = BacktestEngine(strategy, symbols, settings, recorder).run(blocks)
        values = {parameter.name: getattr(strategy, parameter.name) for parameter in list_parameters(owner)}
        return FinishedRun(engine_run, values, code_hash)

    return run


def prepare_sandboxed(
    name: str, parameters: Mapping[str, Any], settings: BacktestSettings, limits: SandboxLimits | None = None
) -> RunStrategy:
    """Return the runner of a strategy whose code runs only in a sandbox. Raises InvalidBacktest."""
    source, code_hash = locate_code(name)

    def run(symbols: Sequence[str], recorder: Recorder, blocks: Iterable[BarBlock]) -> FinishedRun:
        backtest = SandboxedBacktest(symbols, settings, recorder, limits)
        sandboxed_run = backtest.run(SandboxedStrategyCode(source, parameters), blocks)
        return FinishedRun(sandboxed_run.run, sandboxed_run.parameters, code_hash)

    return run
