"""The process of Alpaca's stand-in is killed under load and started again: both books agree at the end."""

import random
import subprocess
import sys
import time
from contextlib import suppress
from typing import Any

import httpx
import pytest

from app.brokers.alpaca.broker import AlpacaBroker
from app.brokers.remote.request_rate_limiter import LocalTokenBucket, RequestRateLimiter
from app.brokers.remote.rest_client import RestTimeouts
from app.orders.rules.values import FINAL_STATUSES
from app.verify import verify_database
from tests.brokers.standins.alpaca.fixtures import CREDENTIALS
from tests.brokers.standins.server import LOOPBACK
from tests.order_routing.alpaca import connect_portfolio, find_status, run_until
from tests.orders.writer_harness import to_decimal
from tests.support.guarded_programs import start_guarded
from tests.support.ports import find_free_port
from tests.support.processes import HOME

pytestmark = pytest.mark.any_database
START_SECONDS = 60.0
FAR, NEAR, REACHED = ("99", "101"), ("94", "95"), ("85", "86")


class Program:
    """The stand-in as a program, which keeps its account in a file."""

    def __init__(self, folder: Any) -> None:
        port = str(find_free_port())
        self.url = f"http://{LOOPBACK}:{port}"
        file = str(folder / "account")
        self._command = [
            *(sys.executable, "-m", "tests.brokers.standins.alpaca", "--port", port, "--account-file", file)
        ]
        self.http = httpx.Client(base_url=self.url, timeout=START_SECONDS)

    def start(self) -> None:
        self._process = start_guarded(self._command, cwd=HOME, stdout=subprocess.DEVNULL)
        deadline = time.monotonic() + START_SECONDS
        while not self._is_ready():
            assert time.monotonic() < deadline, "the stand-in did not start"
            time.sleep(0.05)
        self.quote(*FAR)

    def _is_ready(self) -> bool:
        with suppress(httpx.HTTPError):
            return self.http.get("/health").is_success
        return False

    def quote(self, bid: str, ask: str) -> None:
        quote = {"symbol": "AAPL", "bid": bid, "ask": ask, "ask_size": "15", "bid_size": "15"}
        self.http.post("/control/quote", json=quote).raise_for_status()

    def kill(self) -> None:
        self._process.kill()
        self._process.wait(START_SECONDS)

    def show(self) -> dict[str, Any]:
        shown: dict[str, Any] = self.http.get("/health").json()
        return shown


@pytest.fixture
def program(tmp_path):
    running = Program(tmp_path)
    running.start()
    yield running
    running.kill()
    running.http.close()


@pytest.fixture
def routing(engine, program):
    rate_limiter = RequestRateLimiter(LocalTokenBucket(100_000))
    broker = AlpacaBroker(
        program.url, CREDENTIALS, rate_limiter=rate_limiter, timeouts=RestTimeouts(response=20.0)
    )
    yield connect_portfolio(engine, lambda: broker)
    broker.close()


def trade(routing, program, draw, count):
    orders = []
    for _ in range(count):
        orders.append(routing.place_order(limit_price=str(draw.randrange(90, 100))))
        if draw.random() < 0.3:
            routing.harness.cancel(draw.choice(orders))
        routing.run_session(1)
        program.quote(*draw.choice([FAR, NEAR]))
    return orders


def test_books_agree_after_the_broker_was_killed_under_load(routing, program):
    draw = random.Random(1)
    orders = trade(routing, program, draw, 10)
    program.kill()
    orders.append(routing.place_order(limit_price="95"))
    run_until(routing, lambda: routing.get_connection().status == "down")
    program.start()
    run_until(routing, lambda: routing.get_connection().status == "connected")
    orders += trade(routing, program, draw, 5)

    def is_over():
        program.quote(*REACHED)
        return all(find_status(routing, order) in FINAL_STATUSES for order in orders)

    run_until(routing, is_over)
    run_until(routing, lambda: routing.list_open_requests() == [])
    shown = program.show()
    run_until(routing, lambda: len(routing.list_executions()) == shown["executions"])
    [(own_quantity,)] = routing.harness.query("SELECT quantity FROM positions")
    assert (shown["open_orders"], to_decimal(shown["positions"]["AAPL"])) == (0, to_decimal(own_quantity))
    assert shown["executions"] > 0
    assert set(verify_database(routing.harness.engine).failed) <= {"portfolio record"}  # it was set by SQL
