"""The program of a sandboxed backtest: the engine runs beside the strategy, in its process, for speed.

It reports the order commands of the strategy. The service executes the same commands, and uses only its own
results.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from typing_extensions import override

from app.backtests.rules.block_frames import parse_block
from app.backtests.rules.blocks import BarBlock
from app.backtests.rules.commands import pack_cancellation, pack_replacement, pack_submission
from app.backtests.rules.movements import BacktestCashMovement
from app.backtests.rules.settings_fields import parse_settings
from app.backtests.service.engine import BacktestEngine
from app.backtests.service.market_tables import load_tables
from app.backtests.service.order_manager import OrderManager
from app.backtests.service.orders import BacktestOrder
from app.backtests.service.recorder import Recorder
from app.orders.rules.values import Ticket
from app.sandbox.child.main import ChildEnvironment, Program
from app.sandbox.child.strategies import load_class
from app.sandbox.child.watchdog import ChildWatchdog
from app.sandbox.rules.frames import Frame
from slackoms_strategy import Fill, list_parameters


class JournaledOrders(OrderManager):
    """Orders of a strategy. `journal` has the commands since it was taken last."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.journal: list[list[Any]] = []

    @override
    def submit(self, ticket: Ticket, at: int) -> BacktestOrder:
        order = super().submit(ticket, at)
        self.journal.append(pack_submission(at, ticket))
        return order

    @override
    def cancel(self, order_id: str, at: int) -> None:
        super().cancel(order_id, at)
        self.journal.append(pack_cancellation(at, order_id))

    @override
    def replace(self, order_id: str, ticket: Ticket, at: int) -> BacktestOrder:
        order = super().replace(order_id, ticket, at)
        self.journal.append(pack_replacement(at, order_id, ticket))
        return order


class ChildEngine(BacktestEngine):
    """The engine beside the strategy."""

    order_manager = JournaledOrders

    def take_response(self) -> dict[str, Any]:
        """Return the commands since the last call, and the totals that the service must compute with them."""
        orders = self._orders
        assert isinstance(orders, JournaledOrders)  # noqa: S101  # see `order_manager`
        commands, orders.journal = orders.journal, []
        return {"commands": commands, "claim": self.build_claim()}


class _NoRecorder(Recorder):
    """Keeps nothing: the service records the results."""

    @override
    def record_order(self, order: BacktestOrder) -> None:
        pass

    @override
    def record_fill(self, fill: Fill, at: int) -> None:
        pass

    @override
    def record_movement(self, movement: BacktestCashMovement) -> None:
        pass

    @override
    def record_equity(self, points: Any) -> None:
        pass


def prepare(options: Mapping[str, Any]) -> Program:
    """Load the settings and the rate tables, and return the program for the strategy."""
    settings = parse_settings(options["settings"])
    tables, parameters = load_tables(settings), dict(options["parameters"])

    def run(environment: ChildEnvironment) -> None:
        strategy = load_class(environment.source)(**parameters)
        values = {
            parameter.name: str(getattr(strategy, parameter.name))
            for parameter in list_parameters(type(strategy))
        }
        environment.channel.send(Frame("loaded", {"parameters": values, "log": environment.output.take()}))
        engine = ChildEngine(strategy, options["symbols"], settings, _NoRecorder(), tables)
        watchdog = ChildWatchdog(environment.limits, lambda: engine.instant)
        engine.run(_read_blocks(environment, engine, watchdog))
        watchdog.stop()
        _answer_block(environment, engine)

    return run


def prepare_inspection(options: Mapping[str, Any]) -> Program:
    """Return the program that checks sets of parameters, and describes the strategy's parameters."""

    def run(environment: ChildEnvironment) -> None:
        owner = load_class(environment.source)
        for parameters in options["sets"]:
            owner(**parameters)
        parameter_descriptions = [parameter.describe() for parameter in list_parameters(owner)]
        environment.channel.send(Frame("described", {"parameters": parameter_descriptions}))

    return run


def _read_blocks(
    environment: ChildEnvironment, engine: ChildEngine, watchdog: ChildWatchdog
) -> Iterator[BarBlock]:
    """Yield the blocks of the service. Send a response after each is played."""
    while (frame := environment.channel.receive()).kind == "block":
        watchdog.start()
        yield parse_block(frame.fields, frame.body)
        watchdog.stop()
        _answer_block(environment, engine)
    watchdog.start()  # for the end of the strategy


def _answer_block(environment: ChildEnvironment, engine: ChildEngine) -> None:
    environment.channel.send(Frame("orders", engine.take_response() | {"log": environment.output.take()}))
