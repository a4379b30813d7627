"""Apply a broker's events by the writer, each in its order, and once."""

import logging
from collections.abc import Callable, Iterable, Sequence

from sqlalchemy import Engine

from app.brokers.rules.values import BrokerEvent
from app.clock import Now
from app.errors import NotFound, OmsError
from app.group_commit import GroupCommit
from app.order_routing.queries import transaction
from app.orders.service.broker_reports.known_fills import drop_known_fills, is_listed_fill
from app.orders.service.command_results import Outcome
from app.orders.service.commands import Command
from app.orders.service.internal_commands import BrokerReport
from app.timestamps import format_timestamp

# Runs commands in the writer and returns their outcomes, or the errors that refuse them.
RunCommands = Callable[[Sequence[Command]], Sequence[Outcome | OmsError]]
_LOG = logging.getLogger(__name__)


class NotApplied(Exception):
    """Raised when the writer did not take an event. It must be applied again later."""


class ReportWriter:
    """Applies the events of the orders of one tenant."""

    def __init__(self, engine: Engine, tenant_id: int, run: RunCommands, now: Now) -> None:
        self._engine, self._tenant_id, self._run, self._now = engine, tenant_id, run, now

    def apply(self, events: Iterable[BrokerEvent]) -> None:
        """Apply events in their order, after whose commit it returns. Raises NotApplied.

        An event of an order that is not ours is logged: somebody traded in the account elsewhere. A fill that
        is booked under another id is left out.
        """
        at, missing = format_timestamp(self._now()), self._drop_known(list(events))
        commands = [BrokerReport(self._tenant_id, event.order_id, event, at) for event in missing]
        for command, outcome in zip(commands, self._run(commands) if commands else (), strict=True):
            if isinstance(outcome, NotFound):
                _LOG.warning(
                    "a broker reported %s of an order that is not ours", type(command.event).__name__
                )
            elif isinstance(outcome, OmsError):
                raise NotApplied(outcome.detail)

    def _drop_known(self, events: list[BrokerEvent]) -> list[BrokerEvent]:
        if not any(map(is_listed_fill, events)):
            return events
        with transaction(self._engine, self._tenant_id) as connection:
            return drop_known_fills(connection, self._tenant_id, events)


def create_command_runner(writer: "GroupCommit[Command, Outcome]") -> RunCommands:
    """Return a function that runs commands in the writer, for threads without an event loop."""

    def run(commands: Sequence[Command]) -> Sequence[Outcome | OmsError]:
        try:
            return writer.write_all(commands)
        except OmsError as error:
            raise NotApplied(str(error)) from None

    return run
