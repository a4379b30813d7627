"""Run all active strategies in one process at a time, each in a separate thread, its code in a sandbox.

A lease in the database decides which process is the host. A session ends when its strategy is
paused, stopped or changed. A strategy that fails gets the status ERROR. When a session ends and its
strategy is no longer active, the strategy's open entry orders are canceled. That is repeated until it
succeeds. The next host does it for strategies that a host ended and that still have open orders.
"""

import asyncio
import logging
import threading
from collections.abc import Callable
from contextlib import closing
from typing import Any, NamedTuple

import orjson
from sqlalchemy import Connection, Engine
from sqlalchemy.exc import SQLAlchemyError

from app.clock import Now
from app.database import ALL_TENANTS, Readers, snapshot, unit_of_work
from app.database.failures import format_reason
from app.errors import OmsError
from app.jobs.service.process_lease import RENEW_SECONDS, ProcessLease
from app.market_data.service import Market
from app.orders.service.order_service import OrderService
from app.strategies.errors import CodeChanged, MessageLimitExceeded
from app.strategies.queries.live_orders import list_own_orders
from app.strategies.queries.registry import (
    ListedStrategy,
    find_strategy,
    list_active_strategies,
    list_started_strategies,
    update_strategy,
)
from app.strategies.rules.event_payloads import FAILED, PAUSED
from app.strategies.rules.values import Strategy, StrategyStatus
from app.strategies.service.entry_cancellation import cancel_entries
from app.strategies.service.failures import describe_end
from app.strategies.service.input_collector import InputCollector
from app.strategies.service.order_gateway import SOURCE, OrderGateway, OrderServiceUnavailable, build_caller
from app.strategies.service.runner import RunnerSpec
from app.strategies.service.runner_factory import RunnerFactory
from app.strategies.service.session import JournalConflict, StrategySession
from app.strategies.service.status_changes import publish_status

LEASE_NAME = "strategy host"
CHECK_SECONDS = 0.5  # between two reads of the list of strategies
IDLE_SECONDS = 0.1  # between two reads of a strategy's new inputs
RETRY_SECONDS = 2.0  # before a strategy restarts after its session lost the database
MAX_ERROR_LENGTH = 2_000
_LOG = logging.getLogger(__name__)


class RunKey(NamedTuple):
    """A run of one version of a strategy. Another version runs in a new session."""

    tenant_id: int
    name: str
    run: int
    version: int


class StrategyHost:
    """Runs the active strategies while this process has the lease."""

    def __init__(
        self,
        engine: Engine,
        readers: Readers,
        market: Market,
        orders: OrderService,
        runners: RunnerFactory,
        now: Now,
    ) -> None:
        self._engine, self._readers, self._market = engine, readers, market
        self._orders, self._runners, self._now = orders, runners, now
        self._lease = ProcessLease(engine, LEASE_NAME, now, RENEW_SECONDS)
        self._threads: dict[RunKey, _StrategyThread] = {}
        self._ended_runs: dict[RunKey, None] = {}  # whose entries are not canceled yet, oldest first
        self._has_loaded_ended_runs = False  # since this process has the lease

    async def run(self) -> None:
        """Run the strategies until canceled."""
        try:
            while True:
                try:
                    await self.check()
                except (OmsError, SQLAlchemyError) as error:
                    _LOG.warning("the strategies were not checked: %s", type(error).__name__)
                await asyncio.sleep(CHECK_SECONDS)
        finally:
            await asyncio.to_thread(self._stop_threads)

    async def check(self) -> None:
        """Start and end sessions according to the status of each strategy."""
        loop = asyncio.get_running_loop()
        active = await asyncio.to_thread(self._list_active)
        strategies_by_key = {_build_key(strategy): strategy for strategy in active}
        for key, thread in list(self._threads.items()):
            if key not in strategies_by_key:
                thread.stop()
            if not thread.is_alive:
                del self._threads[key]
                self._ended_runs[key] = None
        await self._cancel_ended_runs()
        names = {(key.tenant_id, key.name) for key in self._threads}
        for key, listed_strategy in strategies_by_key.items():
            if (key.tenant_id, key.name) not in names:  # a session of an earlier version ends first
                gateway = OrderGateway(self._orders, loop)
                self._threads[key] = _StrategyThread(self, listed_strategy, gateway)

    def create_session(self, listed_strategy: ListedStrategy, gateway: OrderGateway) -> StrategySession:
        """Return the session of a strategy. Close it at the end.

        Raises CodeChanged, Invalid if its code cannot be found, and what its module raises.
        """
        strategy = listed_strategy.strategy
        code = self._runners.catalog.find(strategy.entry_point or "")
        if code.code_hash != strategy.code_hash:
            raise CodeChanged
        parameters = orjson.loads(strategy.parameters)
        spec = RunnerSpec(strategy.id, strategy.name, parameters, strategy.symbol_names)
        runner = self._runners.create(code, spec)
        collector = InputCollector(self._market, strategy, uses_quotes=runner.uses_quotes)
        return StrategySession(self._engine, listed_strategy, runner, collector, gateway, self._now)

    def find_status(self, listed_strategy: ListedStrategy) -> StrategyStatus | None:
        """Return the current status of a strategy."""
        with snapshot(self._engine, listed_strategy.strategy.tenant_id) as connection:
            strategy = find_strategy(
                connection, listed_strategy.strategy.tenant_id, listed_strategy.strategy.name
            )
        return None if strategy is None else strategy.strategy.status

    def close_run(self, listed_strategy: ListedStrategy, status: StrategyStatus, reason: str) -> None:
        """Set the status ERROR or PAUSED of a strategy that cannot continue, unless it has changed."""
        now = self._now()
        is_failed = status is StrategyStatus.ERROR
        with unit_of_work(self._engine, listed_strategy.strategy.tenant_id) as connection:
            strategy = find_strategy(
                connection, listed_strategy.strategy.tenant_id, listed_strategy.strategy.name, locks=True
            )
            if strategy is None or _build_key(strategy) != _build_key(listed_strategy):
                return
            if strategy.strategy.status is not StrategyStatus.ACTIVE:
                return
            text = reason[:MAX_ERROR_LENGTH]
            changes: dict[str, Any] = {
                "status": status, "reason": text, "updated_by": SOURCE, "updated_at": now,
            }  # fmt: skip
            changes |= {"last_error": text, "failed_at": now} if is_failed else {}
            update_strategy(connection, strategy.strategy, changes)
            updated = strategy._replace(strategy=strategy.strategy._replace(**changes))
            publish_status(connection, updated, FAILED if is_failed else PAUSED, SOURCE, text, now)

    def _list_active(self) -> list[ListedStrategy]:
        """Return the active strategies, or none if this process does not have the lease."""
        if not self._lease.keep():
            self._has_loaded_ended_runs = False
            return []
        with snapshot(self._engine, ALL_TENANTS) as connection:
            if not self._has_loaded_ended_runs:
                self._ended_runs |= dict.fromkeys(_list_ended_runs(connection))
                self._has_loaded_ended_runs = True
            return list(list_active_strategies(connection))

    async def _cancel_ended_runs(self) -> None:
        """Cancel the entries of ended runs. Those that fail are tried again at the next check."""
        for key in list(self._ended_runs):
            try:
                await self._cancel_entries(key)
            except (OmsError, SQLAlchemyError) as error:
                _LOG.warning("the entries of the strategy %s stay open: %s", key.name, type(error).__name__)
            else:
                del self._ended_runs[key]

    async def _cancel_entries(self, key: RunKey) -> None:
        """Cancel the strategy's entry orders after its last callback, unless the strategy is still active."""
        with snapshot(self._engine, key.tenant_id) as connection:
            strategy = find_strategy(connection, key.tenant_id, key.name)
        if strategy is not None and strategy.strategy.status is not StrategyStatus.ACTIVE:
            caller = build_caller(key.tenant_id)
            await cancel_entries(self._orders, self._readers, caller, key.name, f"strategy {key.name}"[:100])

    def _stop_threads(self) -> None:
        for thread in self._threads.values():
            thread.stop()
        for thread in self._threads.values():
            thread.join()
        try:
            self._lease.release()
        except SQLAlchemyError as error:
            _LOG.warning("the lease of the strategies was not released: %s", format_reason(error))


class _StrategyThread:
    """The thread of a strategy."""

    def __init__(self, host: StrategyHost, listed_strategy: ListedStrategy, gateway: OrderGateway) -> None:
        self._host, self._listed_strategy, self._gateway = host, listed_strategy, gateway
        self._stop = threading.Event()
        self._thread = threading.Thread(
            target=self._run, name=f"strategy-{listed_strategy.strategy.name}", daemon=True
        )
        self._thread.start()

    @property
    def is_alive(self) -> bool:
        """Whether the thread runs."""
        return self._thread.is_alive()

    def stop(self) -> None:
        """Request the thread to end after the current callback."""
        self._stop.set()

    def join(self) -> None:
        """Wait until the thread has ended."""
        self._thread.join()

    def _run(self) -> None:
        try:
            run_session(self._host, self._listed_strategy, self._gateway, self._stop.wait)
        except (JournalConflict, OrderServiceUnavailable, SQLAlchemyError) as error:
            _LOG.warning(
                "the strategy %s starts again: %s", self._listed_strategy.strategy.name, type(error).__name__
            )
            self._stop.wait(RETRY_SECONDS)


def run_session(
    host: StrategyHost, listed_strategy: ListedStrategy, gateway: OrderGateway, wait: Callable[[float], bool]
) -> None:
    """Run a strategy until `wait` returns true, it sends too many messages, or it fails.

    Raises JournalConflict, OrderServiceUnavailable or SQLAlchemyError if the session must be restarted.
    """
    try:
        with closing(host.create_session(listed_strategy, gateway)) as session:
            session.start()
            while not wait(0.0):
                if not session.run_step():
                    wait(IDLE_SECONDS)
            if host.find_status(listed_strategy) is StrategyStatus.INACTIVE:
                session.stop()
    except (JournalConflict, OrderServiceUnavailable, SQLAlchemyError):
        raise
    except Exception as error:  # noqa: BLE001  # code of a strategy may raise anything
        status = StrategyStatus.PAUSED if isinstance(error, MessageLimitExceeded) else StrategyStatus.ERROR
        is_described = isinstance(error, MessageLimitExceeded | CodeChanged)
        host.close_run(listed_strategy, status, str(error) if is_described else describe_end(error))


def _list_ended_runs(connection: Connection) -> list[RunKey]:
    """Return the runs that a host ended and that still have open orders other than exits of an entry."""
    return [
        _build_key(listed_strategy)
        for listed_strategy in list_started_strategies(connection)
        if _was_ended_by_host(listed_strategy.strategy) and _has_entries(connection, listed_strategy.strategy)
    ]


def _was_ended_by_host(strategy: Strategy) -> bool:
    is_paused_by_host = strategy.status is StrategyStatus.PAUSED and strategy.updated_by == SOURCE
    return strategy.status is StrategyStatus.ERROR or is_paused_by_host


def _has_entries(connection: Connection, strategy: Strategy) -> bool:
    orders = list_own_orders(connection, strategy.tenant_id, strategy.name, SOURCE, ())
    return any(order.parent_id is None for order in orders)


def _build_key(listed_strategy: ListedStrategy) -> RunKey:
    strategy = listed_strategy.strategy
    return RunKey(strategy.tenant_id, strategy.name, strategy.run, strategy.version)
