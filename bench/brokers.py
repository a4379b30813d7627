"""The speed of orders to a broker and of booking its fills, against the stand-in of Alpaca on loopback.

Needs the service's package on its path: `PYTHONPATH=oms-api python -m bench.brokers`. The service and the
stand-in are separate processes, on PostgreSQL. Market orders are placed one after another, fewer than
Alpaca's rate limit admits at once. The first figure is the time from the commit of an order until the
stand-in has read the request, the second one from the fill until its execution is committed, with its event
in the outbox. All times are those of one clock. Then an adapter reads 10,000 open orders after a login.

The last figures compare market orders in the paper market, and at a fast broker, without and with a portfolio
that places orders at a second broker, which answers after 2 seconds.
"""

import argparse
import json
import os
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from http.client import HTTPConnection
from pathlib import Path
from statistics import median
from threading import Event, Thread
from time import monotonic, sleep
from typing import Any

from app.brokers.alpaca.broker import AlpacaBroker
from app.brokers.alpaca.client import AlpacaCredentials
from bench.disk import create_scratch_folder
from bench.postgres import Server, find_free_port, run_postgres
from bench.report import ResultLine, check_at_most, print_lines
from bench.service import OMS_API, Service, generate_key, migrate, run_api
from tests.brokers.standins.alpaca.server import KEY_ID, SECRET_KEY

ORDERS, OPEN_ORDERS = 120, 10_000
WAIT_SECONDS, POLL_SECONDS = 60.0, 0.005
DATABASE = "brokers"
COMPARED_PAPER_ORDERS, COMPARED_BROKER_ORDERS = 150, 20
SLOW_SECONDS, SLOW_EVERY_SECONDS = 2.0, 0.5  # how late the slow broker answers, and between two orders there
SLOW_KEY_ID, SLOW_SECRET_KEY = "PKSLOW", "secret-of-the-slow-one"  # a rate limit of its own


def measure(server: Server, folder: Path, orders: int, open_orders: int) -> list[ResultLine]:
    """Return the lines of the table."""
    key = generate_key()
    url = server.create_database(DATABASE)
    migrate(url, key)
    with _run_alpaca() as base_url, _run_alpaca(SLOW_KEY_ID, SLOW_SECRET_KEY, "PA0SLOW") as slow_url:
        settings = {
            "ALPACA_API_KEY": KEY_ID,
            "ALPACA_API_SECRET": SECRET_KEY,
            "ALPACA_BASE_URL": base_url,
            "BROKER_INTERNAL_URLS": f"{base_url},{slow_url}",
        }
        with run_api(url, folder / "api.log", key, settings=settings) as service:
            _place_orders(_Client(service), orders)
            send_milliseconds, booking_milliseconds = _measure_latencies(server, base_url)
            paper, other = _compare_with_slow_broker(service, slow_url)
        seconds = _measure_reread(base_url, open_orders)
    return [
        ResultLine(
            "order committed → request at the broker, p99",
            f"{send_milliseconds:.1f} ms",
            check_at_most(send_milliseconds, 20, 5),
        ),
        ResultLine(
            "fill at the broker → booked and visible, p99",
            f"{booking_milliseconds:.1f} ms",
            check_at_most(booking_milliseconds, 50, 15),
        ),
        ResultLine(
            f"{open_orders:,} open orders read again", f"{seconds:.2f} s", check_at_most(seconds, 10, 3)
        ),
        ResultLine(
            "a slow broker slows paper orders, median", f"{paper:+.1f} %", check_at_most(paper, 10, 0)
        ),
        ResultLine(
            "a slow broker slows another broker, median", f"{other:+.1f} %", check_at_most(other, 10, 0)
        ),
    ]


class _Client:
    """Requests to the service on one connection."""

    def __init__(self, service: Service) -> None:
        self._http = HTTPConnection("127.0.0.1", service.port, timeout=WAIT_SECONDS)
        self._headers = {"X-API-Key": service.key, "Content-Type": "application/json"}

    def call(self, method: str, path: str, body: Any = None) -> Any:
        """Return the answer."""
        request_body = None if body is None else json.dumps(body)
        self._http.request(method, f"/api/v1{path}", request_body, self._headers)
        response = self._http.getresponse()
        content = response.read()
        if response.status >= 300:
            raise RuntimeError(f"{method} {path}: {response.status} {content[:300]!r}")
        return json.loads(content)


def _place_orders(client: _Client, orders: int) -> None:
    """Place orders one after another, each once the one before is filled."""
    _wait_until(lambda: client.call("GET", "/broker-connections")[0]["status"] == "connected")
    client.call("POST", "/portfolios", {"name": "Growth"})
    client.call("PATCH", "/portfolios/Growth", {"broker": "alpaca", "connection": "env-alpaca"})
    client.call("PUT", "/quotes/AAPL", {"bid": "189.98", "ask": "190.02", "last": "190.00"})
    body = _build_order("Growth")
    for _ in range(orders):
        path = f"/orders/{client.call('POST', '/orders', body)['id']}"
        _wait_until(lambda path=path: client.call("GET", path)["status"] == "FILLED", POLL_SECONDS)


def _measure_latencies(server: Server, base_url: str) -> tuple[float, float]:
    """Return the p99 from a commit to the request, and from a fill to the commit, in milliseconds."""
    broker_orders = {order["client_order_id"]: order for order in _list_orders(base_url)}
    committed = _read_commits(server, "order_events WHERE sequence = 1")
    commit_times = _read_commits(server, "executions")
    send_delays = [
        _parse_seconds(broker_orders[order_id]["submitted_at"]) - at
        for order_id, at in committed.items()
        if order_id in broker_orders
    ]
    filled = [
        at - _parse_seconds(broker_orders[order_id]["filled_at"])
        for order_id, at in commit_times.items()
        if order_id in broker_orders
    ]
    return _compute_p99(send_delays), _compute_p99(filled)


def _read_commits(server: Server, rows: str) -> dict[str, float]:
    """Return when the row of each order was committed, by the order's id."""
    statement = f"SELECT order_id, extract(epoch FROM pg_xact_commit_timestamp(xmin)) FROM {rows}"  # noqa: S608  # ours
    pairs = (line.split("|") for line in server.sql(statement, DATABASE).splitlines())
    return {order_id: float(at) for order_id, at in pairs}


def _compare_with_slow_broker(service: Service, slow_url: str) -> tuple[float, float]:
    """Return by how many percent a slow broker slows orders in the paper market, and at another broker."""
    client = _Client(service)
    credentials = {"key_id": SLOW_KEY_ID, "secret_key": SLOW_SECRET_KEY}
    slow = {"name": "slow", "broker": "alpaca", "base_url": slow_url, "credentials": credentials}
    client.call("POST", "/broker-connections", slow)
    for name in ("Paper", "Slow"):
        client.call("POST", "/portfolios", {"name": name})
    client.call("PATCH", "/portfolios/Slow", {"broker": "alpaca", "connection": "slow"})
    path = "/broker-connections/slow"
    _wait_until(lambda: client.call("GET", path)["status"] == "connected")
    before = _measure_orders(client, "Paper"), _measure_orders(client, "Growth")
    fault = {"kind": "latency", "path": "/v2/orders", "times": 1_000_000, "seconds": SLOW_SECONDS}
    _post_json(f"{slow_url}/control/fault", fault)
    stop = Event()
    thread = Thread(target=_place_slowly, args=(_Client(service), stop))
    thread.start()
    try:
        after = _measure_orders(client, "Paper"), _measure_orders(client, "Growth")
    finally:
        stop.set()
        thread.join()
    paper, other = ((later / earlier - 1) * 100 for earlier, later in zip(before, after, strict=True))
    return paper, other


def _measure_orders(client: _Client, portfolio: str) -> float:
    """Return the median seconds from the request of a market order until it is shown as filled."""
    count = COMPARED_PAPER_ORDERS if portfolio == "Paper" else COMPARED_BROKER_ORDERS
    seconds = []
    for _ in range(count):
        started = monotonic()
        path = f"/orders/{client.call('POST', '/orders', _build_order(portfolio))['id']}"
        _wait_until(lambda path=path: client.call("GET", path)["status"] == "FILLED")
        seconds.append(monotonic() - started)
    return median(seconds)


def _place_slowly(client: _Client, stop: Event) -> None:
    while not stop.wait(SLOW_EVERY_SECONDS):
        client.call("POST", "/orders", _build_order("Slow"))


def _build_order(portfolio: str) -> dict[str, str]:
    return {"portfolio_name": portfolio, "symbol": "AAPL", "side": "BUY", "type": "MARKET", "quantity": "1"}


def _measure_reread(base_url: str, count: int) -> float:
    """Return the seconds from the start of an adapter until it has read all open orders."""
    _post_json(f"{base_url}/control/add_resting_orders", {"symbol": "AAPL", "count": count})
    broker = AlpacaBroker(base_url, AlpacaCredentials(KEY_ID, SECRET_KEY))
    started = monotonic()
    broker.stream.start()
    if not broker.stream.is_ready.wait(WAIT_SECONDS):
        raise RuntimeError(f"the stream did not start: {broker.stream.last_error}")
    seconds = monotonic() - started
    if len(broker.list_events()) < count:
        raise RuntimeError("orders are missing")
    broker.close()
    return seconds


@contextmanager
def _run_alpaca(
    key_id: str = KEY_ID, secret_key: str = SECRET_KEY, account: str = "PA0FAST"
) -> Iterator[str]:
    """Run a stand-in until the block ends. Provide its address."""
    port = find_free_port()
    command = [
        sys.executable,
        "-m",
        "tests.brokers.standins.alpaca",
        "--port",
        str(port),
        "--account",
        account,
    ]
    environment = os.environ | {"ALPACA_API_KEY": key_id, "ALPACA_API_SECRET": secret_key}
    process = subprocess.Popen(command, cwd=OMS_API, stdout=subprocess.DEVNULL, env=environment)
    base_url = f"http://127.0.0.1:{port}"
    try:
        _wait_until(lambda: _is_up(base_url))
        yield base_url
    finally:
        process.terminate()
        process.wait(25)


def _is_up(base_url: str) -> bool:
    try:
        urllib.request.urlopen(f"{base_url}/health", timeout=2).close()  # noqa: S310  # our own http address
    except OSError:
        return False
    return True


def _list_orders(base_url: str) -> list[dict[str, Any]]:
    headers = {"APCA-API-KEY-ID": KEY_ID, "APCA-API-SECRET-KEY": SECRET_KEY}
    request = urllib.request.Request(f"{base_url}/v2/orders?status=all&limit=500", headers=headers)  # noqa: S310
    with urllib.request.urlopen(request, timeout=WAIT_SECONDS) as response:  # noqa: S310
        orders: list[dict[str, Any]] = json.load(response)
        return orders


def _post_json(url: str, body: dict[str, Any]) -> None:
    request = urllib.request.Request(url, json.dumps(body).encode())  # noqa: S310
    urllib.request.urlopen(request, timeout=WAIT_SECONDS).close()  # noqa: S310


def _wait_until(condition: Any, poll_seconds: float = 0.001) -> None:
    deadline = monotonic() + WAIT_SECONDS
    while not condition():
        if monotonic() > deadline:
            raise RuntimeError("waited too long")
        sleep(poll_seconds)


def _parse_seconds(timestamp: str) -> float:
    return datetime.fromisoformat(timestamp).timestamp()


def _compute_p99(seconds: list[float]) -> float:
    return sorted(seconds)[int(len(seconds) * 0.99)] * 1000


def main() -> int:
    """Run the benchmark alone."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--orders", type=int, default=ORDERS)
    parser.add_argument("--open-orders", type=int, default=OPEN_ORDERS)
    options = parser.parse_args()
    with create_scratch_folder() as folder, run_postgres(folder) as server:
        lines = measure(server, folder, options.orders, options.open_orders)
    print_lines(lines)
    return int(any(line.outcome.startswith("MISSED") for line in lines))


if __name__ == "__main__":
    sys.exit(main())
