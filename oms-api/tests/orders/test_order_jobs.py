"""The background jobs of orders: expiry and square-off, each in one process at a time."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, cast

import pytest

from app.assembly.background_jobs import EXPIRY_PERIOD, ORDER_EXPIRY, create_order_jobs
from app.calendars.service import Calendars
from app.database import set_tenant_scope, unit_of_work
from app.jobs.service import LEASE_DURATION, JobRunner
from app.ledger.queries.batch_statements import PORTFOLIOS
from app.orders.rules.values import Status
from app.orders.service import order_jobs
from app.orders.service.internal_commands import ExpireOrders, SquareOff
from app.orders.service.write_path import command_dispatch, lock_plan

OPENS = datetime(2026, 11, 20, 14, 30, tzinfo=UTC)
CLOSES = datetime(2026, 11, 20, 21, tzinfo=UTC)
SQUARE_OFF = datetime(2026, 11, 20, 9, 50, tzinfo=UTC)  # 15:20 in Mumbai
RESTING = {"type": "LIMIT", "limit_price": "90"}


class Killed(BaseException):
    """The end of a process: nothing of it follows."""


class Process:
    """A process that runs the jobs of orders, with the commands that its writer received.

    `before_write` is called with the number of the commands before.
    """

    def __init__(self, harness: Any, before_write: Callable[[int], None] = lambda _: None) -> None:
        self._rig, self._before_write = harness, before_write
        self.commands: list[Any] = []
        jobs = create_order_jobs(harness.engine, cast("Any", self), Calendars.load(), lambda: harness.now)
        self.runner = JobRunner(harness.engine, jobs, lambda: harness.now)

    def write(self, command: Any) -> None:
        """Stand in for the writer."""
        self._before_write(len(self.commands))
        self.commands.append(command)
        self._rig.run(command)

    def count(self, kind: type) -> int:
        """Return how many commands of a kind the writer received."""
        return sum(isinstance(command, kind) for command in self.commands)


@pytest.fixture
def small_batches(monkeypatch):
    """Let a command expire at most two orders."""
    for module in (command_dispatch, lock_plan, order_jobs):
        monkeypatch.setattr(module, "MAX_EXPIRIES", 2)


@pytest.fixture
def resting_orders(harness, small_batches):
    """Provide three DAY orders in each of two portfolios, at their close."""
    harness.list_instrument()
    harness.now, orders = OPENS, []
    for name in ("Growth", "Income"):
        harness.enforce_sessions("hold", name)
        orders += [
            harness.place_order(name, **RESTING, client_order_id=f"{name}{number}") for number in range(3)
        ]
    harness.now = CLOSES
    return orders


def list_statuses(harness, orders):
    return [harness.get_order(order).status for order in orders]


def test_orders_expire_in_small_batches_at_the_close(harness, resting_orders):
    process = Process(harness)
    process.runner.run_due()
    assert process.count(ExpireOrders) == 4  # two of each portfolio
    assert set(list_statuses(harness, resting_orders)) == {Status.EXPIRED}


def test_commands_of_two_portfolios_in_one_batch_expire_both(harness, resting_orders):
    portfolio_ids = dict.fromkeys(order.portfolio_id for order in resting_orders)
    at = harness.now.isoformat().replace("+00:00", "Z")
    harness.run(*(ExpireOrders(harness.tenant, at, portfolio_id) for portfolio_id in portfolio_ids))
    assert list_statuses(harness, resting_orders).count(Status.EXPIRED) == 4


def test_order_expires_once_with_two_processes(harness, resting_orders):
    other = Process(harness)

    def race(_: int) -> None:
        assert ORDER_EXPIRY not in other.runner.run_due()

    process = Process(harness, race)
    assert ORDER_EXPIRY in process.runner.run_due()
    assert (process.count(ExpireOrders), other.count(ExpireOrders)) == (4, 0)
    assert set(list_statuses(harness, resting_orders)) == {Status.EXPIRED}


def test_next_process_finishes_work_of_a_killed_process(harness, resting_orders):
    def die_at_the_second(number: int) -> None:
        if number == 1:
            raise Killed

    with pytest.raises(Killed):
        Process(harness, die_at_the_second).runner.run_due()
    assert list_statuses(harness, resting_orders).count(Status.EXPIRED) == 2
    survivor = Process(harness)
    harness.now += LEASE_DURATION - timedelta(seconds=1)
    assert ORDER_EXPIRY not in survivor.runner.run_due()
    harness.now += timedelta(seconds=1) + EXPIRY_PERIOD
    assert ORDER_EXPIRY in survivor.runner.run_due()
    assert set(list_statuses(harness, resting_orders)) == {Status.EXPIRED}
    moves = harness.query("SELECT count(*) FROM order_events WHERE to_status = 'EXPIRED'")
    assert moves == [(6,)]


@pytest.fixture
def intraday_position(harness):
    """Provide an intraday position before its square-off."""
    harness.list_instrument("INFY", "NSE", currency="INR")
    harness.enforce_sessions("hold")
    with unit_of_work(harness.engine) as connection:
        set_tenant_scope(connection, [harness.tenant])
        connection.execute(PORTFOLIOS.update().values(base_currency="INR", cost_schedule="zerodha"))
    harness.now = SQUARE_OFF - timedelta(hours=4)
    harness.publish_quote("99", "101", "100", symbol="INFY")
    harness.place_order(symbol="INFY", product="MIS")
    return harness


def read_quantity(harness):
    [(quantity,)] = harness.query("SELECT quantity FROM positions WHERE product = 'MIS'")
    return Decimal(str(quantity))


def test_intraday_positions_are_closed_once_a_day(intraday_position):
    process = Process(intraday_position)
    for minutes, expected in ((-1, 10), (0, 0), (1, 0)):
        intraday_position.now = SQUARE_OFF + timedelta(minutes=minutes)
        process.runner.run_due()
        assert read_quantity(intraday_position) == expected
    assert process.count(SquareOff) == 2  # at its start, and at the square-off


def test_next_process_squares_off_after_a_kill(intraday_position):
    def die(_: int) -> None:
        raise Killed

    intraday_position.now = SQUARE_OFF
    with pytest.raises(Killed):
        Process(intraday_position, die).runner.run_due()
    assert read_quantity(intraday_position) == 10
    intraday_position.now += LEASE_DURATION
    survivors = [Process(intraday_position), Process(intraday_position)]
    for survivor in survivors:
        survivor.runner.run_due()
    assert [survivor.count(SquareOff) for survivor in survivors] == [1, 0]
    assert read_quantity(intraday_position) == 0
