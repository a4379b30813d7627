"""Run many sets of parameters, on several processor cores."""

import multiprocessing
import threading
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing
from functools import partial
from itertools import pairwise
from typing import NamedTuple

from app.backtests.rules.blocks import BarBlock
from app.backtests.rules.equity_points import DAY_SECONDS, EquityPoint
from app.backtests.rules.settings import BacktestSettings
from app.backtests.rules.sweeps import DayReturn, ParameterSet, SetResult
from app.backtests.service.recorder import Recorder
from app.backtests.service.runs import prepare_sandboxed, prepare_trusted
from app.money import format_money


class SweepTask(NamedTuple):
    """The inputs that all sets of parameters share. The bars are in memory once; all workers use them."""

    strategy: str
    is_trusted: bool
    symbols: Sequence[str]
    settings: BacktestSettings
    blocks: Sequence[BarBlock]


_task: SweepTask | None = None  # of a worker


def run_sets(task: SweepTask, sets: Iterable[ParameterSet], workers: int) -> Iterator[SetResult]:
    """Yield the result of each set, in their order. Raises InvalidBacktest and StrategyFailed."""
    if workers == 1:
        yield from map(partial(run_set, task), sets)
        return
    # A fork shares the bars. It is not safe beside other threads.
    is_alone = threading.active_count() == 1 and "fork" in multiprocessing.get_all_start_methods()
    context = multiprocessing.get_context("fork" if is_alone else "spawn")
    with ProcessPoolExecutor(workers, context, _start_worker, (task,)) as executor:
        try:
            yield from executor.map(_run_in_worker, sets)
        except BaseException:
            executor.shutdown(cancel_futures=True)
            raise


def run_set(task: SweepTask, parameters: ParameterSet) -> SetResult:
    """Run one set of parameters."""
    prepare = prepare_trusted if task.is_trusted else prepare_sandboxed
    run_strategy = prepare(task.strategy, parameters, task.settings)
    with closing(Recorder()) as recorder:
        run = run_strategy(task.symbols, recorder, task.blocks).run
    earned_amount = run.points[-1].equity - run.account.opening_cash
    return SetResult(parameters, list_day_returns(run.points), format_money(earned_amount) or "")


def list_day_returns(points: Sequence[EquityPoint]) -> list[DayReturn]:
    """Return the returns from one close of a UTC day to the next; the first is from the start."""
    close_points = [points[0], *(point for point in points[1:] if point.is_close)]
    return [
        DayReturn((current.at - 1) // DAY_SECONDS, float(current.equity / previous.equity) - 1)
        for previous, current in pairwise(close_points)
        if previous.equity > 0
    ]


def _start_worker(task: SweepTask) -> None:
    global _task  # noqa: PLW0603  # a worker gets it once, and not with each set
    _task = task


def _run_in_worker(parameters: ParameterSet) -> SetResult:
    assert _task is not None  # noqa: S101  # see `_start_worker`
    return run_set(_task, parameters)
