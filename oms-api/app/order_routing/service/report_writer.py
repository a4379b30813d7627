"""Apply a broker's events through the writer, in order, and each of them once."""

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import timedelta
from typing import NamedTuple

from sqlalchemy import Engine

from app.brokers.rules.values import BrokerEvent, Replaced
from app.clock import EPOCH, Now
from app.errors import NotFound, OmsError, Unavailable, WriteRefused
from app.group_commit import GroupCommit
from app.order_routing.queries import open_transaction
from app.orders.service.broker_reports.known_fills import exclude_known_fills, is_listed_fill
from app.orders.service.command_results import Outcome
from app.orders.service.commands import WriterCommand
from app.orders.service.internal_commands import ApplyBrokerReport
from app.timestamps import format_timestamp

# Runs commands in the writer and returns their outcomes, or the errors that refuse them.
RunCommands = Callable[[Sequence[WriterCommand]], Sequence[Outcome | OmsError]]
RETRY_INTERVAL = timedelta(seconds=15)  # until events that were refused are applied again
_LOG = logging.getLogger(__name__)


class _EventKey(NamedTuple):
    order_id: str
    event_type: type[BrokerEvent]
    execution_id: str | None  # None for an event that is no execution


class NotApplied(Exception):
    """Raised when the writer cannot apply events now. They must be applied again later."""


class ReportWriter:
    """Applies the events of the orders of one tenant."""

    def __init__(self, engine: Engine, tenant_id: int, run: RunCommands, now: Now) -> None:
        self._engine, self._tenant_id, self._run, self._now = engine, tenant_id, run, now
        self._refused: dict[_EventKey, BrokerEvent] = {}  # to be applied again
        self._next_retry = EPOCH

    def apply(self, events: Iterable[BrokerEvent]) -> None:
        """Apply events in order, and return after the commit. Raises NotApplied.

        An event of an order that is not ours is logged: the order was placed outside of this service. A fill
        that is booked under another id is left out. An event that the writer refuses, although it writes
        others, is kept and applied again by `retry_refused`: neither the other events nor any request wait
        for it.
        """
        events = list(events)
        at, missing = format_timestamp(self._now()), self._drop_known(events)
        commands = [ApplyBrokerReport(self._tenant_id, event.order_id, event, at) for event in missing]
        outcomes = [outcome for batch in _split_at_successors(commands) for outcome in self._run(batch)]
        refused_events: dict[_EventKey, BrokerEvent] = {}
        for command, outcome in zip(commands, outcomes, strict=True):
            if isinstance(outcome, NotFound):
                _LOG.warning(
                    "a broker reported %s of an order that is not ours", type(command.event).__name__
                )
            elif isinstance(outcome, Unavailable) and not isinstance(outcome, WriteRefused):
                raise NotApplied(outcome.detail)
            elif isinstance(outcome, OmsError):
                refused_events[_get_key(command.event)] = command.event
        self._keep_refused(events, refused_events)

    def has_refused(self, events: Iterable[BrokerEvent]) -> bool:
        """Return whether the writer refused one of these events."""
        return any(_get_key(event) in self._refused for event in events)

    def retry_refused(self) -> None:
        """Apply the refused events again, if a retry is due. Raises NotApplied."""
        if self._refused and self._now() >= self._next_retry:
            self._next_retry = self._now() + RETRY_INTERVAL
            self.apply(list(self._refused.values()))

    def _keep_refused(
        self, events: Iterable[BrokerEvent], refused_events: dict[_EventKey, BrokerEvent]
    ) -> None:
        for event in events if self._refused else ():
            if _get_key(event) not in refused_events:
                self._refused.pop(_get_key(event), None)
        for key in refused_events.keys() - self._refused.keys():
            _LOG.error(
                "%s of order %s was refused: it is applied again later", key.event_type.__name__, key.order_id
            )
            self._next_retry = self._now() + RETRY_INTERVAL
        self._refused |= refused_events

    def _drop_known(self, events: list[BrokerEvent]) -> list[BrokerEvent]:
        if not any(map(is_listed_fill, events)):
            return events
        with open_transaction(self._engine, self._tenant_id) as connection:
            return exclude_known_fills(connection, self._tenant_id, events)


def _split_at_successors(commands: Sequence[ApplyBrokerReport]) -> Iterator[Sequence[ApplyBrokerReport]]:
    """Yield the commands in batches. No batch replaces an order and reports its successor.

    A batch reads its orders before its first command, when the successor does not exist yet.
    """
    first, successor_ids = 0, set[str]()
    for number, command in enumerate(commands):
        if command.order_id in successor_ids:
            yield commands[first:number]
            first, successor_ids = number, set()
        if isinstance(command.event, Replaced):
            successor_ids.add(command.event.successor_id)
    if commands:
        yield commands[first:]


def _get_key(event: BrokerEvent) -> _EventKey:
    return _EventKey(event.order_id, type(event), getattr(event, "execution_id", None))


def create_command_runner(writer: "GroupCommit[WriterCommand, Outcome]") -> RunCommands:
    """Return a function that runs commands in the writer, for threads without an event loop."""

    def run(commands: Sequence[WriterCommand]) -> Sequence[Outcome | OmsError]:
        try:
            return writer.write_all(commands)
        except OmsError as error:
            raise NotApplied(str(error)) from None

    return run
