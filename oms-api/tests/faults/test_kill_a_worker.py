"""kill -9 and a freeze of one of two worker processes, which forward orders to each other."""

import os
import re
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from itertools import count
from pathlib import Path

from app.database import connect_engine
from tests.factories import build_ticket_body
from tests.faults.conftest import FaultSetup
from tests.faults.load import PROMISED_SECONDS, Connection
from tests.faults.process_control import (
    START_SECONDS,
    OmsProcess,
    resume_processes,
    run_services,
    verify_books,
    wait_until,
)

ANSWERED = re.compile(r'oms_forwarded_requests_total\{outcome="answered"\} ([0-9.]+)')
PORTFOLIOS = ("Growth", "Income", "Macro", "Hedge")
CLIENTS = 8
PLACED = 201


class OrderLoad:
    """Clients that place market orders, each with its own key, and the IDs of the orders by key."""

    def __init__(self, oms: OmsProcess) -> None:
        self._oms = oms
        self._stop = threading.Event()
        self._clients: list[threading.Thread] = []
        self.orders: dict[str, str | None] = {}  # None: no answer, or one that does not say 201
        self.slowest = 0.0
        self.unexpected: list[object] = []

    def place(self, connection: Connection, number: int, key: str) -> None:
        """Place an order, or repeat its request."""
        body = build_ticket_body(portfolio_name=PORTFOLIOS[number % len(PORTFOLIOS)], quantity="1")
        started = time.monotonic()
        self.orders.setdefault(key, None)
        try:
            status, _, response = connection.call("POST", "/api/v1/orders", body, key)
        except ConnectionError:
            time.sleep(0.01)  # its worker ended; the other one takes the next connection
            return
        finally:
            self.slowest = max(self.slowest, time.monotonic() - started)
        if status == PLACED and self.orders[key] in {None, response["id"]}:
            self.orders[key] = response["id"]
        elif status != 503:
            self.unexpected.append((key, status, response))

    def count_placed(self) -> int:
        """Return how many orders were acknowledged."""
        return sum(order_id is not None for order_id in tuple(self.orders.values()))

    def wait_for_more(self, wanted: int) -> None:
        """Wait until `wanted` more orders were acknowledged."""
        goal = self.count_placed() + wanted
        wait_until(lambda: self.count_placed() >= goal, START_SECONDS, f"{wanted} more orders are placed")

    def _run_client(self, client: int) -> None:
        with Connection(self._oms.port) as connection:
            for number in count():
                if self._stop.is_set():
                    return
                self.place(connection, client + number, f"{client}-{number}")

    @contextmanager
    def running(self) -> Iterator[None]:
        """Run the clients until the block ends."""
        for _ in range(CLIENTS):
            self.add_client()
        try:
            yield
        finally:
            self._stop.set()
            for client in self._clients:
                client.join(60)

    def add_client(self) -> None:
        """Start a client, which opens a connection of its own."""
        client = threading.Thread(target=self._run_client, args=(len(self._clients),))
        self._clients.append(client)
        client.start()


def list_workers(oms: OmsProcess) -> list[int]:
    """Return the process IDs of the workers."""
    supervisor = oms.process.pid
    children = Path(f"/proc/{supervisor}/task/{supervisor}/children").read_text().split()
    return [int(pid) for pid in children if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes()]


def has_forwarded(oms: OmsProcess) -> bool:
    """Return whether the worker that answers has forwarded orders."""
    with Connection(oms.port) as connection:
        match = ANSWERED.search(connection.call("GET", "/metrics")[2])
    return match is not None and float(match[1]) > 0


def check_orders(setup: FaultSetup, oms: OmsProcess, load: OrderLoad) -> None:
    """Repeat every request with its key. Each key must have exactly one order, the acknowledged one."""
    with Connection(oms.port) as connection:
        for key in load.orders:
            client, _, number = key.partition("-")
            place = partial(_is_placed, load, connection, int(client) + int(number), key)
            wait_until(place, START_SECONDS, f"the order of {key} is placed")
    assert load.unexpected == []
    assert load.slowest < PROMISED_SECONDS
    engine = connect_engine(setup.database_url, readers=1)
    with engine.connect() as connected:
        stored = connected.exec_driver_sql("SELECT id FROM orders").scalars().all()
    engine.dispose()
    assert sorted(stored) == sorted(filter(None, load.orders.values()))
    assert len(set(stored)) == len(load.orders)
    verify_books(setup.database_url)


def _is_placed(load: OrderLoad, connection: Connection, number: int, key: str) -> bool:
    load.place(connection, number, key)
    return load.orders[key] is not None


def run_with_fault(setup: FaultSetup, inject: Callable[[OmsProcess, OrderLoad], None]) -> None:
    """Run the load on two workers, and inject a fault after an order was forwarded."""
    oms = setup.oms(WEB_CONCURRENCY="2")
    with run_services(oms):
        wait_until(lambda: len(list_workers(oms)) == 2, START_SECONDS, "two workers run")
        with Connection(oms.port) as connection:
            for name in PORTFOLIOS:
                assert connection.call("POST", "/api/v1/portfolios", {"name": name})[0] == PLACED
        load = OrderLoad(oms)
        with load.running():
            wait_until(lambda: has_forwarded(oms), START_SECONDS, "an order was forwarded")
            inject(oms, load)
            load.wait_for_more(60)
        check_orders(setup, oms, load)
        oms.stop()


def test_killed_worker_loses_and_duplicates_no_order(postgres_setup: FaultSetup):
    def inject(oms: OmsProcess, load: OrderLoad) -> None:
        load.wait_for_more(60)
        os.kill(list_workers(oms)[0], signal.SIGKILL)

    run_with_fault(postgres_setup, inject)


def test_frozen_worker_loses_and_duplicates_no_order(postgres_setup: FaultSetup):
    def inject(oms: OmsProcess, load: OrderLoad) -> None:
        frozen = list_workers(oms)[0]
        os.kill(frozen, signal.SIGSTOP)
        try:
            load.add_client()  # the frozen worker may have every other connection; it takes no new one
            load.wait_for_more(10)
        finally:
            resume_processes([frozen])

    run_with_fault(postgres_setup, inject)


def test_workers_stop_when_their_supervisor_is_killed(postgres_setup: FaultSetup):
    oms = postgres_setup.oms(WEB_CONCURRENCY="2")
    with run_services(oms):
        wait_until(lambda: len(list_workers(oms)) == 2, START_SECONDS, "two workers run")
        oms.kill()
        wait_until(lambda: oms.readiness() == 0, START_SECONDS, "no worker listens")
