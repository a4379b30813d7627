"""Runs a strategy by its name, in this process or in a sandbox."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

from app.backtests.errors import InvalidBacktest
from app.backtests.rules.blocks import BarBlock
from app.backtests.rules.settings import BacktestSettings
from app.backtests.service.engine import BacktestEngine, BacktestRun
from app.backtests.service.loading import compute_code_hash, create_strategy, hash_code, load_strategy
from app.backtests.service.recorder import Recorder
from app.backtests.service.sandboxed import SandboxedBacktest, StrategyCode, inspect_sandboxed
from app.sandbox.errors import SandboxError
from app.sandbox.rules.sources import StrategySource
from app.sandbox.service.sources import find_file, find_source
from slackoms_strategy import ParameterDescription, list_parameters


class FinishedRun(NamedTuple):
    """A finished run, the values of the strategy's parameters, and the hash of its code."""

    run: BacktestRun
    parameters: Mapping[str, object]
    code_hash: str


RunStrategy = Callable[[Sequence[str], Recorder, Iterable[BarBlock]], FinishedRun]


def is_own_code(name: str) -> bool:
    """Return whether a strategy is an example of this project."""
    return name.startswith("slackoms_strategy.examples.")


def inspect_strategy(
    name: str, sets: Sequence[Mapping[str, str]], *, is_trusted: bool
) -> list[ParameterDescription]:
    """Return the parameters of a strategy. Raise InvalidBacktest if one of the sets is wrong."""
    if not is_trusted:
        return inspect_sandboxed(_find_source(name), sets)
    owner = load_strategy(name)
    for parameters in sets:
        create_strategy(owner, parameters)
    return [parameter.describe() for parameter in list_parameters(owner)]


def prepare_trusted(name: str, parameters: Mapping[str, str], settings: BacktestSettings) -> RunStrategy:
    """Return what runs a strategy in this process. Raise InvalidBacktest and StrategyFailed."""
    owner = load_strategy(name)
    strategy = create_strategy(owner, parameters)
    code_hash = compute_code_hash(owner)

    def run(symbols: Sequence[str], recorder: Recorder, blocks: Iterable[BarBlock]) -> FinishedRun:
        finished = BacktestEngine(strategy, symbols, settings, recorder).run(blocks)
        values = {parameter.name: getattr(strategy, parameter.name) for parameter in list_parameters(owner)}
        return FinishedRun(finished, values, code_hash)

    return run


def prepare_sandboxed(name: str, parameters: Mapping[str, str], settings: BacktestSettings) -> RunStrategy:
    """Return what runs a strategy in a sandbox, and none of its code here. Raise InvalidBacktest."""
    source = _find_source(name)
    try:
        code_hash = hash_code(source.class_name, find_file(source).read_text("utf-8"))
    except (SandboxError, OSError, UnicodeDecodeError) as error:
        raise InvalidBacktest(str(error)) from None

    def run(symbols: Sequence[str], recorder: Recorder, blocks: Iterable[BarBlock]) -> FinishedRun:
        backtest = SandboxedBacktest(symbols, settings, recorder)
        finished = backtest.run(StrategyCode(source, parameters), blocks)
        return FinishedRun(finished.run, finished.parameters, code_hash)

    return run


def _find_source(name: str) -> StrategySource:
    try:
        return find_source(name)
    except SandboxError as error:
        raise InvalidBacktest(str(error)) from None
