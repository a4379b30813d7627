"""The service with a fault built in: `FAULT=<name>[:<n>] python -m tests.faults.sabotaged_service`.

The product has no switch for any of this: everything is put around it here, before it starts.
"""

import os
import signal
import sys
import time
from collections.abc import Callable
from datetime import timedelta
from itertools import count
from pathlib import Path
from typing import Any

import app.main
from app import clock
from app.config import Settings
from app.group_commit import GroupCommit
from app.group_commit.batch_writer import BatchWriter
from app.ledger.queries import batch_statements as queries
from app.ledger.queries import portfolios
from app.ledger.service import batch
from app.ledger.service.commands import RecordTrade
from app.orders.service.write_path.batch_handler import OrderBatchHandler


def replace_attribute(owner: Any, name: str, replacement: Any) -> None:
    """Put a fault in the place of a part of the service, which must exist."""
    assert hasattr(owner, name), f"{owner} has no {name}"
    setattr(owner, name, replacement)


def kill_process() -> None:
    """End this very process as kill -9 does."""
    os.kill(os.getpid(), signal.SIGKILL)


def call_at(number: int, act: Callable[[], None]) -> Callable[[], None]:
    """Return a function that acts when it is called for the `number`th time."""
    calls = count(1)
    return lambda: act() if next(calls) == number else None


def exit_before_writing(number: int) -> None:
    """Die between BEGIN and the first row."""
    handle, tick = OrderBatchHandler.handle, call_at(number, kill_process)

    def dying(*arguments: Any) -> Any:
        tick()
        return handle(*arguments)

    replace_attribute(OrderBatchHandler, "handle", dying)


def exit_during_writing(number: int) -> None:
    """Die with the ledger's rows written, and none of its projections."""
    write, tick = vars(batch)["execute_writes"], call_at(number, kill_process)

    def dying(connection: Any, *writes: Any) -> None:
        write(connection, writes[0])
        tick()
        write(connection, *writes[1:])

    replace_attribute(batch, "execute_writes", dying)


def exit_before_commit(number: int) -> None:
    """Die with everything written, and COMMIT not sent."""
    _around_commit(number, before=True)


def exit_after_commit(number: int) -> None:
    """End the process after the commit and before any answer."""
    _around_commit(number, before=False)


def _around_commit(number: int, before: bool) -> None:
    commit, tick = BatchWriter._commit_transaction, call_at(number, kill_process)  # the fault

    def dying(*arguments: Any) -> None:
        if before:
            tick()
        commit(*arguments)
        if not before:
            tick()

    replace_attribute(BatchWriter, "_commit_transaction", staticmethod(dying))


def answer_before_commit(number: int) -> None:
    """Sabotage: after `number` commands, answer 201 and leave the commit to the end of the process."""

    def run(self: Any) -> None:
        answered = 0
        connection = self._writer._get_connection()
        transaction = connection.begin()
        while batch := self._take_batch():
            result = self._writer._handler.handle(connection, [item.command for item in batch], {})
            self._resolve_commands(batch, result.outcomes)
            answered += len(batch)
            if answered < number:
                transaction.commit()
                transaction = connection.begin()

    replace_attribute(GroupCommit, "_write_batches", run)


def drop_every(number: int) -> None:
    """Sabotage: leave every `number`th row out of the ledger."""
    build_trade_insert, calls = queries.build_trade_insert, count(1)
    replace_attribute(
        queries,
        "build_trade_insert",
        lambda rows: build_trade_insert([row for row in rows if next(calls) % number]),
    )


def forget_keys(_: int) -> None:
    """Sabotage: store no idempotency key, so that a retry trades again.

    One trade is always committed and not answered yet, so that a kill at any time leaves one to retry.
    """
    handle = OrderBatchHandler.handle

    def forgetting(self: Any, connection: Any, commands: Any, *arguments: Any) -> Any:
        without_keys = [
            command._replace(origin=command.origin._replace(idempotency_key=None, request_hash=None))
            if isinstance(command, RecordTrade)
            else command
            for command in commands
        ]
        return handle(self, connection, without_keys, *arguments)

    def run(self: Any) -> None:
        unanswered: list[Any] = []
        connection = self._writer._get_connection()
        while batch := self._take_batch():
            with connection.begin():
                result = self._writer._handler.handle(connection, [item.command for item in batch], {})
            committed = unanswered + list(zip(batch, result.outcomes, strict=True))
            unanswered = [entry for entry in committed if isinstance(entry[0].command, RecordTrade)][-1:]
            answered = [entry for entry in committed if entry not in unanswered]
            self._resolve_commands([item for item, _ in answered], [outcome for _, outcome in answered])

    replace_attribute(OrderBatchHandler, "handle", forgetting)
    replace_attribute(GroupCommit, "_write_batches", run)


def step_clock(_: int) -> None:
    """Let the clock jump ten minutes back or forth each time it is read."""
    jumps = count()
    real = clock.utc_now
    steps = [timedelta(), timedelta(minutes=10), timedelta(minutes=-10)]
    replace_attribute(
        app.main.create_app, "__defaults__", (None, lambda: real() + steps[next(jumps) % len(steps)])
    )


def slow_commit(number: int) -> None:
    """Take `number` milliseconds for each commit."""
    commit = BatchWriter._commit_transaction  # the fault

    def slow(*arguments: Any) -> None:
        time.sleep(number / 1000)
        commit(*arguments)

    replace_attribute(BatchWriter, "_commit_transaction", staticmethod(slow))


def slow_reads(number: int) -> None:
    """Take `number` milliseconds for each list of portfolios, a connection in hand."""
    list_portfolio_summaries = portfolios.list_portfolio_summaries

    def slow(*arguments: Any) -> Any:
        time.sleep(number / 1000)
        return list_portfolio_summaries(*arguments)

    replace_attribute(portfolios, "list_portfolio_summaries", slow)


def main() -> int:
    """Build the fault in, then serve."""
    name, _, number = os.environ.get("FAULT", "").partition(":")
    if name:
        fault: Callable[[int], None] = globals()[name]
        fault(int(number or 1))
    replace_attribute(app.main, "load_settings", lambda: Settings(_env_file=None))  # the environment alone
    return app.main.run()


if __name__ == "__main__":
    assert Path.cwd().name == "oms-api"
    sys.exit(main())
