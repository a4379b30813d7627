"""kill -9 and a freeze of one of two worker processes, which forward orders and trades to each other."""

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
from tests.factories import build_ticket_body, build_trade_body
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
CREATED = 201


class Load:
    """Clients that place market orders or report trades, each with its own key, and their IDs by key.

    Clients with an even number place orders.
    """

    def __init__(self, oms: OmsProcess) -> None:
        self._oms = oms
        self._stop = threading.Event()
        self.recorded: dict[str, str | None] = {}  # None: no response, or a status other than 201
        self.slowest = 0.0
        self.unexpected: list[object] = []

    def send(self, connection: Connection, client: int, number: int) -> None:
        """Send a request of a client, or repeat it."""
        key, portfolio = f"{client}-{number}", PORTFOLIOS[(client + number) % len(PORTFOLIOS)]
        path, body, field = (
            ("trade", build_trade_body(portfolio_name=portfolio, quantity="1", gmv="175"), "trade_id")
            if client % 2
            else ("orders", build_ticket_body(portfolio_name=portfolio, quantity="1"), "id")
        )
        started = time.monotonic()
        self.recorded.setdefault(key, None)
        try:
            status, _, answer = connection.call("POST", f"/api/v1/{path}", body, key)
        except ConnectionError:
            time.sleep(0.01)  # its worker ended; the other one takes the next connection
            return
        finally:
            self.slowest = max(self.slowest, time.monotonic() - started)
        if status == CREATED and self.recorded[key] in {None, answer[field]}:
            self.recorded[key] = answer[field]
        elif status != 503:
            self.unexpected.append((key, status, answer))

    def count_recorded(self) -> int:
        """Return how many orders and trades were acknowledged."""
        return sum(row_id is not None for row_id in tuple(self.recorded.values()))

    def wait_for_more(self, count: int) -> None:
        """Wait until `count` more orders and trades were acknowledged."""
        goal = self.count_recorded() + count
        wait_until(lambda: self.count_recorded() >= goal, START_SECONDS, f"{count} more are recorded")

    def _run_client(self, client: int) -> None:
        with Connection(self._oms.port) as connection:
            for number in count():
                if self._stop.is_set():
                    return
                self.send(connection, client, number)

    @contextmanager
    def running(self) -> Iterator[None]:
        """Run the clients until the block ends."""
        clients = [threading.Thread(target=self._run_client, args=(number,)) for number in range(CLIENTS)]
        for client in clients:
            client.start()
        try:
            yield
        finally:
            self._stop.set()
            for client in clients:
                client.join(60)


def list_workers(oms: OmsProcess) -> list[int]:
    """Return the process IDs of the workers."""
    supervisor = oms.process.pid
    children = Path(f"/proc/{supervisor}/task/{supervisor}/children").read_text().split()
    return [int(pid) for pid in children if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes()]


def has_forwarded(oms: OmsProcess) -> bool:
    """Return whether the worker that answers has forwarded requests."""
    with Connection(oms.port) as connection:
        match = ANSWERED.search(connection.call("GET", "/metrics")[2])
    return match is not None and float(match[1]) > 0


def check_records(setup: FaultSetup, oms: OmsProcess, load: Load) -> None:
    """Repeat every request. Each key must have exactly one order or trade, the acknowledged one."""
    with Connection(oms.port) as connection:
        for key in load.recorded:
            send = partial(_is_recorded, load, connection, *map(int, key.split("-")))
            wait_until(send, START_SECONDS, f"the request with the key {key} is recorded")
    assert load.unexpected == []
    assert load.slowest < PROMISED_SECONDS
    engine = connect_engine(setup.database_url, readers=1)
    with engine.connect() as connected:
        stored = connected.exec_driver_sql(
            "SELECT id FROM orders UNION ALL SELECT trade_id FROM trades WHERE order_id IS NULL"
        ).scalars()
        assert sorted(stored) == sorted(filter(None, load.recorded.values()))
    engine.dispose()
    assert len(set(load.recorded.values())) == len(load.recorded)
    verify_books(setup.database_url)


def _is_recorded(load: Load, connection: Connection, client: int, number: int) -> bool:
    load.send(connection, client, number)
    return load.recorded[f"{client}-{number}"] is not None


def run_with_fault(setup: FaultSetup, inject: Callable[[OmsProcess, Load], None]) -> None:
    """Run the load on two workers, and inject a fault after a request was forwarded."""
    oms = setup.oms(WEB_CONCURRENCY="2")
    with run_services(oms):
        wait_until(lambda: len(list_workers(oms)) == 2, START_SECONDS, "two workers run")
        with Connection(oms.port) as connection:
            for name in PORTFOLIOS:
                assert connection.call("POST", "/api/v1/portfolios", {"name": name})[0] == CREATED
        load = Load(oms)
        with load.running():
            wait_until(lambda: has_forwarded(oms), START_SECONDS, "a request was forwarded")
            inject(oms, load)
            load.wait_for_more(60)
        check_records(setup, oms, load)
        oms.stop()


def test_killed_worker_loses_and_duplicates_no_request(postgres_setup: FaultSetup):
    def inject(oms: OmsProcess, load: Load) -> None:
        load.wait_for_more(60)
        os.kill(list_workers(oms)[0], signal.SIGKILL)

    run_with_fault(postgres_setup, inject)


def test_frozen_worker_loses_and_duplicates_no_request(postgres_setup: FaultSetup):
    def inject(oms: OmsProcess, load: Load) -> None:
        frozen = list_workers(oms)[0]
        os.kill(frozen, signal.SIGSTOP)
        try:
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
