"""Run the sessions of all connections, each in a separate thread, in one process at a time by a lease."""

import asyncio
import logging
import threading
from collections.abc import Callable
from datetime import timedelta
from functools import partial

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from app.brokers.protocol import Broker
from app.brokers.queries import StoredConnection, find_connection, list_connections, update_session_state
from app.brokers.rules.connections import ConnectionStatus
from app.brokers.service.account_checks import ConnectionRefused
from app.clock import Now
from app.database import Readers, set_all_tenants_scope
from app.database.failures import format_reason
from app.errors import OmsError
from app.group_commit import GroupCommit
from app.jobs.service.process_lease import ProcessLease
from app.order_routing.queries import open_transaction
from app.order_routing.service.account_comparison import Reconcile, compare_nothing
from app.order_routing.service.broker_session import (
    RECONCILE_INTERVAL,
    BrokerSession,
    ConnectionChanged,
)
from app.order_routing.service.report_writer import NotApplied, RunCommands, create_command_runner
from app.order_routing.service.wake_channel import WakeChannel
from app.orders.service.broker_request_notifier import BrokerRequestNotifier
from app.orders.service.command_results import Outcome
from app.orders.service.commands import WriterCommand

POLL_SECONDS = 1.0  # between two queries of the connections
IDLE_SECONDS = 0.1  # between two steps without anything to do, unless a request wakes the session
RETRY_SECONDS = 1.0
REFUSED_SECONDS = 15.0  # until a refused connection is tried again, unless it changes
_LOG = logging.getLogger(__name__)

OpenBroker = Callable[[StoredConnection], Broker]  # raises ConnectionRefused


class SessionRunner:
    """Starts a session for each connection, and a new one when a connection changes."""

    def __init__(
        self,
        engine: Engine,
        readers: Readers,
        writer: "GroupCommit[WriterCommand, Outcome]",
        open_broker: OpenBroker,
        notifier: BrokerRequestNotifier,
        now: Now,
        prepare: Callable[[], None] = lambda: None,
        reconcile: Reconcile = compare_nothing,
        reconcile_interval: timedelta = RECONCILE_INTERVAL,
        serves_broker: Callable[[str], bool] = lambda _: True,
    ) -> None:
        self._serves_broker = serves_broker  # whether this process runs the sessions of a broker
        self._reconcile, self._reconcile_interval = reconcile, reconcile_interval
        self._engine, self._readers, self._writer = engine, readers, writer
        self._open_broker, self._notifier, self._now = open_broker, notifier, now
        self._prepare = prepare  # called once, before the first query of the connections
        self._threads: dict[str, _SessionThread] = {}
        self._channel = WakeChannel(engine, notifier)

    async def run(self) -> None:
        """Keep the sessions running, until canceled."""
        run_commands = create_command_runner(self._writer)
        is_prepared = False
        self._channel.start()
        try:
            while True:
                try:
                    if not is_prepared:
                        await asyncio.to_thread(self._prepare)
                        is_prepared = True
                    await self._start_missing(run_commands)
                except (OmsError, SQLAlchemyError) as error:
                    _LOG.warning("the broker connections were not read: %s", type(error).__name__)
                await asyncio.sleep(POLL_SECONDS)
        finally:
            await asyncio.to_thread(self._close)

    async def _start_missing(self, run_commands: RunCommands) -> None:
        stored_connections = await self._readers.run(
            lambda connection: list_connections(set_all_tenants_scope(connection))
        )
        allowed = [stored for stored in stored_connections if stored.status != ConnectionStatus.AWAITING_LIVE]
        connections_to_run = {stored.id: stored for stored in allowed if self._serves_broker(stored.broker)}
        self._threads = {key: thread for key, thread in self._threads.items() if thread.is_alive}
        for key, thread in self._threads.items():
            if key not in connections_to_run:
                thread.stop()
        for key in connections_to_run.keys() - self._threads.keys():
            self._threads[key] = _SessionThread(self, connections_to_run[key], run_commands)

    def _close(self) -> None:
        self._channel.close()
        for thread in self._threads.values():
            thread.stop()
        for thread in self._threads.values():
            thread.join()

    def run_session(self, stored: StoredConnection, run: RunCommands, stop: threading.Event) -> None:
        """Run the session of a connection until it changes, `stop` is set, or the lease is lost."""
        lease = ProcessLease(self._engine, f"broker {stored.id}", self._now)
        try:
            while not lease.keep():
                if stop.wait(RETRY_SECONDS):
                    return
            self._run_with_lease(stored, run, stop, lease)
        except ConnectionChanged:
            pass
        except SQLAlchemyError as error:
            _LOG.warning("a broker session ended: %s", format_reason(error))
        finally:
            lease.release()

    def _run_with_lease(
        self, stored: StoredConnection, run: RunCommands, stop: threading.Event, lease: ProcessLease
    ) -> None:
        with open_transaction(self._engine, stored.tenant_id) as connection:
            # Another process may have changed the connection before it lost the lease.
            current = find_connection(connection, stored.tenant_id, stored.name)
        if current is None:
            return
        try:
            broker = self._open_broker(current)
        except ConnectionRefused as error:
            self._note_refusal(current, str(error))
            stop.wait(REFUSED_SECONDS)
            return
        wake, queue = self._notifier.listen(), self._notifier.get_queue(current.tenant_id, current.name)
        session = BrokerSession(
            self._engine,
            current,
            broker,
            run,
            self._now,
            reconcile=self._reconcile,
            reconcile_interval=self._reconcile_interval,
            queue=queue,
            are_requests_announced=self._channel.is_listening.is_set,
            wait_for_event=partial(_wait_for_event, wake),
            may_send=lease.keep,
        )
        try:
            subscribe = getattr(broker, "subscribe", None)  # an adapter with a stream reports each event
            if subscribe is not None:
                subscribe(wake.set)
            _run_steps(session, wake, stop, lease)
        finally:
            self._notifier.stop_listening(wake)
            broker.close()
            session.close()

    def _note_refusal(self, stored: StoredConnection, reason: str) -> None:
        if (stored.status, stored.error) == (ConnectionStatus.REFUSED, reason):
            return
        changes = {"status": ConnectionStatus.REFUSED.value, "error": reason, "connected_since": None}
        with open_transaction(self._engine, stored.tenant_id) as connection:
            update_session_state(connection, stored.tenant_id, stored.name, stored.version, changes)


class _SessionThread:
    """A thread that runs one connection."""

    def __init__(self, runner: SessionRunner, stored: StoredConnection, run: RunCommands) -> None:
        self._stop = threading.Event()
        self._thread = threading.Thread(
            target=runner.run_session,
            args=(stored, run, self._stop),
            name=f"broker-{stored.name}",
            daemon=True,
        )
        self._thread.start()

    @property
    def is_alive(self) -> bool:
        """Whether the session runs."""
        return self._thread.is_alive()

    def stop(self) -> None:
        """Ask the session to end."""
        self._stop.set()

    def join(self) -> None:
        """Wait until the session has ended."""
        self._thread.join(10.0)


def _run_steps(
    session: BrokerSession, wake: threading.Event, stop: threading.Event, lease: ProcessLease
) -> None:
    """Run steps while this process has the lease."""
    is_idle = True
    while not stop.is_set() and lease.keep():
        try:
            has_worked = session.run_step(is_idle=is_idle)
        except ConnectionChanged:
            raise
        except Exception as error:  # noqa: BLE001  # the session must go on after any failure of an adapter
            _log_failure(error)
            stop.wait(RETRY_SECONDS)
            continue
        is_idle = False
        if not has_worked:
            is_idle = not wake.wait(IDLE_SECONDS)
            wake.clear()


def _wait_for_event(wake: threading.Event, seconds: float) -> None:
    """Wait until the broker reports something or a request is stored. The next step reads both."""
    wake.clear()
    wake.wait(seconds)


def _log_failure(error: Exception) -> None:
    if isinstance(error, (SQLAlchemyError, NotApplied)):
        reason = format_reason(error) if isinstance(error, SQLAlchemyError) else str(error)
        _LOG.warning("a broker session waits: %s", reason)
    else:
        _LOG.error("a step of a broker session failed", exc_info=error)
