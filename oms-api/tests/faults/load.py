"""Load over several connections: trades, batches and reversals with the idempotency keys of the journal."""

import http.client
import json
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from decimal import Decimal
from random import Random
from typing import Any

from typing_extensions import override

from tests.factories import BOOTSTRAP_KEY
from tests.faults.journal import Intent, Journal

ANSWER_SECONDS = 120  # longer than the service may take: a client that gives up first would prove nothing
PORTFOLIOS = ("Growth", "Büro 3", "Hedge", "Night desk")
SYMBOLS = ("AAPL", "MSFT", "BTC/USD")
_PAUSE_SECONDS = 0.1
PROMISED_SECONDS = 45.0  # three times what the service promises, for a slow machine

Answer = tuple[int, dict[str, str], Any]


class Connection:
    """A keep-alive connection to the service that opens again when it broke."""

    def __init__(self, port: int) -> None:
        self._http = http.client.HTTPConnection("127.0.0.1", port, timeout=ANSWER_SECONDS)

    def __enter__(self) -> "Connection":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def can_open(self) -> bool:
        """Return whether the service takes connections."""
        try:
            socket.create_connection((self._http.host, self._http.port), ANSWER_SECONDS).close()
        except OSError:
            return False
        return True

    def close(self) -> None:
        """Close it; the next request opens it again."""
        self._http.close()

    def call(self, method: str, path: str, body: Any = None, key: str | None = None) -> Answer:
        """Return status, headers in lower case, and the decoded body. OSError where the connection breaks."""
        headers = {"X-API-Key": BOOTSTRAP_KEY, "Content-Type": "application/json"}
        if key:
            headers["Idempotency-Key"] = key
        try:
            self._http.request(method, path, None if body is None else json.dumps(body), headers)
            response = self._http.getresponse()
            content = response.read()
        except (http.client.HTTPException, OSError) as error:
            self.close()
            raise ConnectionError(str(error)) from error
        response_headers = {name.lower(): value for name, value in response.getheaders()}
        return (
            response.status,
            response_headers,
            json.loads(content) if "json" in response_headers["content-type"] else content.decode(),
        )


class Sender:
    """Sends intents over one connection and records the responses."""

    def __init__(self, journal: Journal, port: int) -> None:
        self.journal = journal
        self.connection = Connection(port)

    def send(self, intent: Intent) -> Answer | None:
        """Send a trade or a reversal. Return None if the connection broke and the outcome is unknown."""
        response = self._call(intent.path, intent.body, intent.key)
        if response:
            status, headers, body = response
            self.journal.record_answer(intent, status, body.get("trade", body), "retry-after" in headers)
        return response

    def send_batch(self, key: str, intents: Sequence[Intent]) -> None:
        """Send trades as a batch under `key`; their own keys are `key`:0, `key`:1 and so on."""
        response = self._call("/api/v1/trades:batch", {"trades": [member.body for member in intents]}, key)
        if response is None:
            return
        status, headers, body = response
        if status != 200:
            for intent in intents:
                self.journal.record_answer(intent, status, body, "retry-after" in headers)
            return
        for intent, outcome in zip(intents, body["outcomes"], strict=True):
            self.journal.record_answer(intent, outcome["status"], outcome.get("trade") or outcome["problem"])

    def _call(self, path: str, body: dict[str, Any], key: str) -> Answer | None:
        started = time.monotonic()
        try:
            return self.connection.call("POST", path, body, key)
        except ConnectionError:
            return None
        finally:
            self.journal.compute_duration(time.monotonic() - started)


class _Worker(threading.Thread):
    def __init__(self, sender: Sender, name: str, stop: threading.Event, portfolios: Sequence[str]) -> None:
        super().__init__(name=name, daemon=True)
        self._sender = sender
        self._stop_asked = stop
        self._random = Random(name)
        self._portfolios = portfolios
        self._count = 0

    @override
    def run(self) -> None:
        while not self._stop_asked.is_set():
            self._count += 1
            if not self._step(f"{self.name}-{self._count}"):
                self._wait_for_service()
        self._sender.connection.close()

    def _wait_for_service(self) -> None:
        """Wait until somebody listens again: what is sent meanwhile would only have to be asked for later."""
        while not self._stop_asked.wait(_PAUSE_SECONDS):
            if self._sender.connection.can_open():
                return

    def _step(self, key: str) -> bool:
        choice = self._random.random()
        journal = self._sender.journal
        if choice < 0.1:
            size = self._random.randint(2, 20)
            bodies = [build_trade(self._random, self._portfolios) for _ in range(size)]
            items = [
                journal.record_intent(f"{key}:{n}", "/api/v1/trade", body) for n, body in enumerate(bodies)
            ]
            self._sender.send_batch(key, items)
            return not items[0].unresolved
        trade_id = journal.take_reversible() if choice < 0.2 else None
        if trade_id:
            intent = journal.record_intent(
                key, f"/api/v1/trades/{trade_id}:reverse", {"reason": f"Key {key}"}
            )
        else:
            intent = journal.record_intent(key, "/api/v1/trade", build_trade(self._random, self._portfolios))
        return self._sender.send(intent) is not None


def build_trade(random: Random, portfolios: Sequence[str] = PORTFOLIOS) -> dict[str, Any]:
    """Return the body of some trade."""
    quantity = Decimal(random.randint(1, 100_000_000)).scaleb(-random.choice((2, 5)))
    gmv = (quantity * random.randint(1, 500) * Decimal("1.01")).quantize(Decimal("0.00000001"))
    return {
        "symbol": random.choice(SYMBOLS),
        "quantity": f"{quantity:f}",
        "gmv": f"{min(gmv, Decimal(100_000_000)):f}",
        "side": random.choice(("BUY", "SELL")),
        "portfolio_name": random.choice(portfolios),
        "user_id": "U1",
    }


@contextmanager
def run_load(
    journal: Journal,
    ports: Sequence[int],
    name: str,
    connections: int = 6,
    portfolios: Sequence[str] = PORTFOLIOS,
) -> Iterator[None]:
    """Keep `connections` busy, spread over the `ports` of the service's processes, until the block ends."""
    stop = threading.Event()
    workers = [
        _Worker(Sender(journal, ports[n % len(ports)]), f"{name}-{n}", stop, portfolios)
        for n in range(connections)
    ]
    for worker in workers:
        worker.start()
    try:
        yield
    finally:
        stop.set()
        deadline = time.monotonic() + ANSWER_SECONDS + 5
        for worker in workers:
            worker.join(max(0.0, deadline - time.monotonic()))
        assert not any(worker.is_alive() for worker in workers), "a request was never answered"


def resolve_open_requests(journal: Journal, port: int, seconds: float = 120.0) -> None:
    """Repeat, with the same key, each request whose outcome is unknown."""
    sender = Sender(journal, port)
    deadline = time.monotonic() + seconds
    with sender.connection:
        while open_intents := journal.unresolved():
            for intent in open_intents:
                sender.send(intent)
            assert time.monotonic() < deadline, f"{len(open_intents)} keys do not resolve: {open_intents[0]}"


def repeat_requests(journal: Journal, port: int, random: Random, count: int = 20) -> None:
    """Send some acknowledged requests again: the same answer, marked as a replay."""
    intents = journal.acknowledged()
    with Connection(port) as connection:
        for intent in random.sample(intents, min(count, len(intents))):
            status, headers, body = connection.call("POST", intent.path, intent.body, intent.key)
            assert (status, headers.get("idempotent-replayed")) == (201, "true"), f"{intent}: {status} {body}"
            intent.acknowledged.append(body["trade_id"])


def wait_for_more(journal: Journal, count: int, seconds: float = 120.0) -> None:
    """Wait until `count` more requests were acknowledged."""
    goal, deadline = len(journal.acknowledged()) + count, time.monotonic() + seconds
    while len(journal.acknowledged()) < goal:
        assert time.monotonic() < deadline, f"not {count} more acknowledged within {seconds:g} s"
        time.sleep(0.005)


def wait_for_refusals(journal: Journal, count: int, seconds: float) -> None:
    """Wait until `count` more requests were answered by a refusal, or not at all."""
    deadline = time.monotonic() + seconds
    goal = len(journal.intents) - len(journal.acknowledged()) + count
    while len(journal.intents) - len(journal.acknowledged()) < goal:
        assert time.monotonic() < deadline, f"not {count} more refused within {seconds:g} s"
        time.sleep(0.01)
