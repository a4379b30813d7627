"""Run a backtest with the strategy in a sandbox.

The strategy's process runs the engine, and reports the strategy's commands for each block of bars. This
process gives it the next blocks meanwhile, and matches the commands again: only these results are used. A
process whose results differ is reported.
"""

import logging
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple, TypeVar

from app.backtests.errors import InvalidBacktest, InvalidCommand, StrategyFailed, StrategyStopped
from app.backtests.rules.block_frames import pack_block
from app.backtests.rules.blocks import BarBlock
from app.backtests.rules.commands import parse_command
from app.backtests.rules.settings import BacktestSettings
from app.backtests.rules.settings_fields import serialize_settings
from app.backtests.service.engine import BacktestRun
from app.backtests.service.order_replay import OrderReplay
from app.backtests.service.recorder import Recorder, format_instant
from app.sandbox.errors import ChildFailed, InvalidFrame, SandboxError, SandboxUnavailable
from app.sandbox.rules.frames import Frame
from app.sandbox.rules.limits import SandboxLimits
from app.sandbox.rules.sources import StrategySource
from app.sandbox.service.children import Child, SandboxSpec, launch_child
from app.text import replace_unprintable
from slackoms_strategy import ParameterDescription

PROGRAM = "app.backtests.service.sandbox_child:prepare"
INSPECTION = "app.backtests.service.sandbox_child:prepare_inspection"
_BLOCKS_AHEAD = 3  # they fit into the pipe
_INPUT_ERRORS = frozenset({"InvalidBacktest", "InvalidParameter", "InvalidStrategy"})
_LOG = logging.getLogger("strategy")
T = TypeVar("T")


class SandboxedRun(NamedTuple):
    """A finished run, and the values of the strategy's parameters as text."""

    run: BacktestRun
    parameters: Mapping[str, str]


class SandboxedStrategyCode(NamedTuple):
    """A strategy's code, and its parameters as text or JSON values."""

    source: StrategySource
    parameters: Mapping[str, Any]


class SandboxedBacktest:
    """Runs one strategy once. `program` is the program that the child runs beside the strategy."""

    def __init__(
        self, symbols: Sequence[str], settings: BacktestSettings, recorder: Recorder,
        limits: SandboxLimits | None = None, program: str = PROGRAM,
    ) -> None:  # fmt: skip
        self._symbols, self._settings, self._program = sorted(symbols), settings, program
        self._limits = limits or SandboxLimits()
        self._replay = OrderReplay(symbols, settings, recorder)
        self._known_symbols = dict.fromkeys(symbols)

    def run(self, code: SandboxedStrategyCode, blocks: Iterable[BarBlock]) -> SandboxedRun:
        """Run the strategy. Raises InvalidBacktest, and StrategyFailed."""
        options: dict[str, Any] = {
            "settings": serialize_settings(self._settings),
            "symbols": self._symbols,
            "parameters": dict(code.parameters),
        }
        with (
            _report_errors(),
            launch_child(SandboxSpec(code.source, self._program, options), self._limits) as child,
        ):
            parameters = _get_field(self._receive_frame(child, "loaded"), "parameters", dict)
            run = self._replay.run(self._exchange_blocks(child, blocks))
        return SandboxedRun(run, {str(name): str(value) for name, value in parameters.items()})

    def _exchange_blocks(self, child: Child, blocks: Iterable[BarBlock]) -> Iterator[BarBlock]:
        """Send blocks some steps ahead, and yield each with its commands ready."""
        waiting_blocks: deque[BarBlock] = deque()
        for block in blocks:
            child.send(Frame("block", *pack_block(block)))
            waiting_blocks.append(block)
            if len(waiting_blocks) > _BLOCKS_AHEAD:
                yield from self._play_block(child, waiting_blocks.popleft())
        while waiting_blocks:
            yield from self._play_block(child, waiting_blocks.popleft())
        child.send(Frame("stop", {}))
        frame = self._take_commands(child)
        self._replay.finish()
        self._compare_claim(frame)

    def _play_block(self, child: Child, block: BarBlock) -> Iterator[BarBlock]:
        frame = self._take_commands(child)
        yield block
        self._replay.require_no_commands()
        self._compare_claim(frame)

    def _take_commands(self, child: Child) -> Frame:
        frame = self._receive_frame(child, "orders")
        self._replay.add_commands(
            [parse_command(command, self._known_symbols) for command in _get_field(frame, "commands", list)]
        )
        return frame

    def _receive_frame(self, child: Child, kind: str) -> Frame:
        """Return the next frame, which must be of a kind. Log the output of the strategy."""
        frame = child.receive()
        if frame.kind != kind:
            raise InvalidFrame(f"The strategy process sent {frame.kind[:20]!r} when {kind!r} was expected.")
        for line in _get_field(frame, "log", str)[: self._limits.log_bytes].splitlines():
            _LOG.info("%s", replace_unprintable(line))
        return frame

    def _compare_claim(self, frame: Frame) -> None:
        """Compare the totals that the child reports with the totals of the orders matched in this process."""
        claimed, computed = frame.fields.get("claim"), self._replay.build_claim()
        if claimed != computed:
            at = format_instant(self._replay.instant)
            claim = f"Orders, fills, cash and charges of the strategy process at {at} are {claimed!r:.200}"
            raise StrategyStopped(f"{claim}, but {computed!r} by its commands.")


def inspect_sandboxed(
    source: StrategySource, sets: Sequence[Mapping[str, str]], limits: SandboxLimits | None = None
) -> list[ParameterDescription]:
    """Return the parameters of a strategy. Raises InvalidBacktest if a set is wrong, and StrategyFailed."""
    spec = SandboxSpec(source, INSPECTION, {"sets": list(sets)})
    with _report_errors(), launch_child(spec, limits or SandboxLimits()) as child:
        descriptions = _get_field(child.receive(), "parameters", list)
        return [_parse_description(description) for description in descriptions]


def _parse_description(fields: object) -> ParameterDescription:
    if not isinstance(fields, list) or len(fields) != len(ParameterDescription._fields):
        raise InvalidFrame("The strategy process sent an invalid description of a parameter.")
    name, kind, default, description, minimum, maximum, choices = fields
    if not isinstance(choices, list):
        raise InvalidFrame("The strategy process sent an invalid description of a parameter.")
    bounds = [None if bound is None else str(bound) for bound in (minimum, maximum)]
    texts = [str(part) for part in (name, kind, default, description)]
    return ParameterDescription(
        name=texts[0],
        type=texts[1],
        default=texts[2],
        description=texts[3],
        minimum=bounds[0],
        maximum=bounds[1],
        choices=tuple(map(str, choices)),
    )


@contextmanager
def _report_errors() -> Iterator[None]:
    """Raise the errors of a child as errors of a backtest."""
    try:
        yield
    except SandboxUnavailable as error:
        raise InvalidBacktest(f"{error} Run code that you trust with --sandbox off.") from None
    except ChildFailed as error:
        if error.failure.type in _INPUT_ERRORS:
            raise InvalidBacktest(error.failure.message) from None
        raise StrategyFailed(error.failure) from None
    except SandboxError as error:
        raise StrategyStopped(str(error)) from None
    except InvalidCommand as error:
        raise StrategyStopped(f"The strategy process sent an invalid command: {error}.") from None


def _get_field(frame: Frame, name: str, kind: type[T]) -> T:
    """Return a field of a frame. Raises InvalidFrame if it is not of a kind."""
    value = frame.fields.get(name)
    if not isinstance(value, kind):
        raise InvalidFrame(f"The strategy process sent {frame.kind!r} without {name}.")
    return value
