"""Match the orders of a sandboxed strategy again, in the process of the service."""

from bisect import bisect_left
from collections import deque
from collections.abc import Iterable
from typing import Any

from typing_extensions import override

from app.backtests.errors import InvalidCommand
from app.backtests.rules.blocks import BarBlock
from app.backtests.rules.commands import CommandKind, StrategyCommand
from app.backtests.rules.settings import BacktestSettings
from app.backtests.service.engine import BacktestEngine
from app.backtests.service.feeds import BarFeed
from app.backtests.service.recorder import Recorder
from app.orders.rules.values import Ticket
from slackoms_strategy import Strategy


class OrderReplay(BacktestEngine):
    """Runs the commands of a strategy at their instants. Bars without orders and commands are skipped."""

    def __init__(self, symbols: Iterable[str], settings: BacktestSettings, recorder: Recorder) -> None:
        super().__init__(Strategy(), symbols, settings, recorder)
        self._commands: deque[StrategyCommand] = deque()

    def add_commands(self, commands: Iterable[StrategyCommand]) -> None:
        """Add the commands of the next block."""
        self._commands.extend(commands)

    def require_no_commands(self) -> None:
        """Raise InvalidCommand if a command was at no instant of the block."""
        if self._commands:
            raise InvalidCommand(f"no bar ends at its time, {self._commands[0].at}")

    def finish(self) -> None:
        """Run the commands of the strategy's end."""
        self._run_commands(self._context.seconds)
        self._events.run_until(self._context.seconds)
        self.require_no_commands()

    @override
    def _start_strategy(self, block: BarBlock) -> None:
        super()._start_strategy(block)
        self._run_commands(self._context.seconds)

    @override
    def _play_bars(self, feed: BarFeed, first: int, stop: int) -> None:
        columns, seconds, commands = feed.columns, self._seconds, self._commands
        assert columns is not None  # noqa: S101  # the block is loaded
        starts, open_orders, index = columns.starts, self._orders.orders_by_symbol[feed.symbol], first
        while index < stop:
            if not open_orders:
                next_start = commands[0].at - seconds if commands else starts[stop - 1]
                index = min(max(index, bisect_left(starts, next_start, index, stop)), stop - 1)
            feed.index = index
            self._context.seconds = end = starts[index] + seconds
            if open_orders:
                self._orders.match(feed, end)
            if commands:
                self._run_commands(end)
            index += 1

    @override
    def _finish_instant(self) -> None:
        self._run_commands(self._context.seconds)

    def _run_commands(self, now: int) -> None:
        commands = self._commands
        while commands and commands[0].at <= now:
            command = commands.popleft()
            if command.at < now:
                raise InvalidCommand(f"its time {command.at} is not that of a bar, or has passed")
            self._run_command(command)

    def _run_command(self, command: StrategyCommand) -> None:
        orders = self._orders
        try:
            match command.kind:
                case CommandKind.SUBMIT:
                    assert command.ticket is not None  # noqa: S101  # a submission has one
                    orders.submit(command.ticket, command.at)
                case CommandKind.CANCEL:
                    orders.cancel(command.order_id, command.at)
                case CommandKind.REPLACE:
                    orders.replace(command.order_id, self._build_replacement(command), command.at)
        except ValueError as error:
            raise InvalidCommand(str(error)) from None

    def _build_replacement(self, command: StrategyCommand) -> Ticket:
        order = self._orders.find(command.order_id)
        if order is None:
            raise InvalidCommand(f"order {command.order_id} is not open")
        changes: dict[str, Any] = dict(command.changes)
        return order.ticket._replace(**changes)
