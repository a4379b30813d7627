"""The bot's acknowledgement times: for a command, for a submission, and for a submission while the OMS hangs.

Run it in the project's environment: `python bench/slack_ack.py`. The bot runs as deployed, in its own
process; Slack and the OMS are local fakes. The limit, measured in the same run, is a plain Flask endpoint on
the same server and under the same load. It ends within a minute. Status 1 means that a required value was
missed.
"""

import argparse
import http.client
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from typing_extensions import override

BOT = Path(__file__).resolve().parents[1] / "slack-bot"
sys.path.insert(0, str(BOT))

from tests import factories  # noqa: E402 - after the path to it
from tests.fake_oms import FakeOms  # noqa: E402 - after the path to it
from tests.fakes import FakeSlack, Request, Response  # noqa: E402 - after the path to it

CLIENTS = 4
REQUESTS = 150  # per client
HUNG_AT_ONCE = 20
OMS_SECONDS = 0.010
START_SECONDS = 15

Payload = dict[str, Any]

BARE = """
import sys
from flask import Flask, request
from waitress import serve
app = Flask("bare")
@app.post("/slack/events")
def slack():
    request.get_data()
    return ""
@app.get("/health")
def health():
    return ""
serve(app, host="127.0.0.1", port=int(sys.argv[1]), threads=64)
"""


@dataclass(frozen=True)
class Latencies:
    """Percentiles in milliseconds."""

    p50: float
    p99: float
    worst: float


class HealthyOms(FakeOms):
    """Responds to each call in about 10 ms in total: first the price query, then the trade."""

    @override
    def receive(self, call: Request) -> Response:
        time.sleep(OMS_SECONDS / 2)
        return super().receive(call)


def compute_figures(seconds: list[float]) -> Latencies:
    ordered = sorted(seconds)
    return Latencies(
        *(1000 * ordered[min(len(ordered) - 1, int(len(ordered) * at))] for at in (0.5, 0.99, 1.0))
    )


def find_free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def run_program(arguments: list[str], port: int, **environment: str) -> Iterator[None]:
    """Run a server until the block ends."""
    started = subprocess.Popen(arguments, cwd=BOT, env=os.environ | environment, stderr=subprocess.DEVNULL)
    try:
        wait_for_response(port)
        yield
    finally:
        started.terminate()
        try:
            started.wait(10)
        except subprocess.TimeoutExpired:
            started.kill()
            started.wait()


def wait_for_response(port: int) -> None:
    until = time.monotonic() + START_SECONDS
    while True:
        try:
            post_request(http.client.HTTPConnection("127.0.0.1", port, timeout=5), "GET", "/health", "", {})
        except OSError:
            if time.monotonic() > until:
                raise
            time.sleep(0.05)
        else:
            return


def post_request(
    connection: http.client.HTTPConnection, method: str, path: str, body: str, headers: dict[str, str]
) -> int:
    connection.request(method, path, body, headers)
    answer = connection.getresponse()
    answer.read()
    return answer.status


def send_requests(port: int, payload: Callable[[int], Payload], clients: int, requests: int) -> list[float]:
    """Send `requests` requests from each of `clients` concurrently. Return the seconds of each."""
    seconds: list[float] = []
    together = threading.Barrier(clients)

    def client(number: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        bodies = [factories.build_form_body(payload(number * requests + each)) for each in range(requests)]
        together.wait(10)
        for body in bodies:
            headers = factories.sign_headers(body)
            began = time.perf_counter()
            status = post_request(connection, "POST", "/slack/events", body, headers)
            seconds.append(time.perf_counter() - began)
            if status != 200:
                raise SystemExit(f"answered {status}")

    threads = [threading.Thread(target=client, args=(number,)) for number in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    if len(seconds) != clients * requests:
        raise SystemExit("not every delivery was answered")
    return seconds


def build_price_command(_number: int) -> Payload:
    return factories.build_command("AAPL")


def create_submission_builder(prefix: str) -> Callable[[int], Payload]:
    return lambda number: factories.build_submission(id=f"{prefix}{number}", root_view_id=f"{prefix}{number}")


def measure(slack: FakeSlack, oms: FakeOms, folder: str) -> dict[str, Latencies]:
    port = find_free_port()
    environment = {
        "SLACK_BOT_TOKEN": factories.TOKEN, "SLACK_SIGNING_SECRET": factories.SECRET, "SLACK_APP_TOKEN": "",
        "SLACK_API_URL": slack.api_url, "OMS_API_URL": oms.url, "OMS_API_KEY": factories.OMS_KEY,
        "HOST": "127.0.0.1", "PORT": str(port), "ENVIRONMENT": "test", "LOG_FORMAT": "json",
        "BOT_DATABASE_URL": f"sqlite:///{folder}/bot.db",
    }  # fmt: skip
    with run_program([sys.executable, "main.py"], port, **environment):
        send_requests(port, build_price_command, CLIENTS, 10)  # warm up
        commands = compute_figures(send_requests(port, build_price_command, CLIENTS, REQUESTS))
        well = compute_figures(send_requests(port, create_submission_builder("W"), CLIENTS, REQUESTS))
        for name in ("last_price", "place", "find"):
            oms.default_responses[name] = Response(slow=20)
        hung = compute_figures(send_requests(port, create_submission_builder("H"), HUNG_AT_ONCE, 1))
        oms.released.set()
    return {
        "command": commands,
        "submission, OMS well": well,
        f"submission, OMS hung, {HUNG_AT_ONCE} at once": hung,
    }


def measure_bare() -> Latencies:
    port = find_free_port()
    with run_program([sys.executable, "-c", BARE, str(port)], port):
        send_requests(port, build_price_command, CLIENTS, 10)
        return compute_figures(send_requests(port, build_price_command, CLIENTS, REQUESTS))


def main() -> int:
    argparse.ArgumentParser(description=__doc__).parse_args()
    slack, oms = FakeSlack(), HealthyOms()
    try:
        with tempfile.TemporaryDirectory() as folder:
            bare, measured = measure_bare(), measure(slack, oms, folder)
    finally:
        slack.stop()
        oms.stop()
    musts = dict(zip(measured, (("p99", 100.0), ("p99", 200.0), ("worst", 1500.0)), strict=True))
    print(f"{'':42}{'p50':>9}{'p99':>9}{'max':>9}  ms")
    print(f"{'bare Flask under waitress (the limit)':42}{bare.p50:9.1f}{bare.p99:9.1f}{bare.worst:9.1f}")
    met = True
    for name, result in measured.items():
        percentile, at_most = musts[name]
        good = getattr(result, percentile) <= at_most
        met = met and good
        outcome = "met" if good else "MISSED"
        comparison = f"{percentile} ≤ {at_most:.0f}: {outcome}; p99 {result.p99 / bare.p99:.1f} × bare"
        print(f"{name:42}{result.p50:9.1f}{result.p99:9.1f}{result.worst:9.1f}  {comparison}")
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
