"""A minimal HTTP load generator that runs as a separate process.

It uses raw keep-alive sockets with one request in flight each. It prints one JSON object: responses per
second, latencies in milliseconds. A response with an unexpected status is a failure. Each trade has its own
idempotency key; trades are spread over portfolios, symbols and sides.
"""

import argparse
import gc
import itertools
import json
import os
import random
import secrets
import select
import socket
from array import array
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from time import perf_counter, process_time

PORTFOLIOS, SYMBOLS = 20, 50
TRADES_PER_BATCH = 100
EACH_PORTFOLIO = "{book}"  # in a path: replaced by each portfolio's number in turn
_DRAWS = 4096
_RECEIVE_BYTES = 262_144
PATIENCE_SECONDS = 20.0
_STARTED = perf_counter()


def list_portfolio_names(portfolios: int) -> list[str]:
    """Return the names of the portfolios that the load uses."""
    return [f"Book {number:02d}" for number in range(portfolios)]


@dataclass(slots=True)
class Connection:
    """A connection with a request in flight. `missing` is the number of response bytes still to come."""

    socket: socket.socket
    sent_at: float = 0.0
    answer: bytes = b""
    missing: int = 0


@dataclass(slots=True)
class Tally:
    """The measurements: latencies in seconds, all responses, and the number of unexpected statuses."""

    latencies: "array[float]"
    requests: int = 0
    errors: int = 0
    first_error: str = ""

    def record_response(self, line: Connection, now: float, expected: bytes) -> None:
        """Record a response."""
        self.latencies.append(now - line.sent_at)
        if line.answer[9:12] != expected:
            self.errors += 1
            self.first_error = self.first_error or line.answer[:1000].decode(errors="replace")

    def summarize(self, seconds: float) -> dict[str, float]:
        """Return the rate (per second) and latencies (milliseconds)."""
        ordered = sorted(self.latencies)
        if self.errors or not ordered:
            raise SystemExit(
                f"{self.errors} of {len(ordered)} answers were errors; the first: {self.first_error}"
            )
        marks = {"p50": 0.50, "p90": 0.90, "p99": 0.99, "max": 1.0}
        at = {name: ordered[min(int(len(ordered) * part), len(ordered) - 1)] for name, part in marks.items()}
        cpu = process_time() / (perf_counter() - _STARTED)
        return {"rate": len(ordered) / seconds, "cpu": cpu, "requests": self.requests} | {
            name: 1000 * value for name, value in at.items()
        }


def generate_trades(key: str, portfolios: int = PORTFOLIOS, seed: int = 1) -> Iterator[bytes]:
    """Yield requests that report trades, without end. Bodies repeat, idempotency keys do not."""
    chance, names = random.Random(seed), list_portfolio_names(portfolios)
    return _add_keys([_build_post(key, "/api/v1/trade", _build_trade(chance, names)) for _ in range(_DRAWS)])


def generate_batches(key: str, portfolios: int = PORTFOLIOS, seed: int = 1) -> Iterator[bytes]:
    """Yield requests that report TRADES_PER_BATCH trades each, without end."""
    chance, names = random.Random(seed), list_portfolio_names(portfolios)
    bodies = [{"trades": [_build_trade(chance, names) for _ in range(TRADES_PER_BATCH)]} for _ in range(64)]
    return _add_keys([_build_post(key, "/api/v1/trades:batch", body) for body in bodies])


def generate_orders(key: str, portfolios: int = PORTFOLIOS, seed: int = 1) -> Iterator[bytes]:
    """Yield requests for market orders of one or two units, without end and within all limits."""
    chance, names = random.Random(seed), list_portfolio_names(portfolios)
    return _add_keys([_build_post(key, "/api/v1/orders", _build_order(chance, names)) for _ in range(_DRAWS)])


def generate_signals(key: str, portfolios: int = PORTFOLIOS, seed: int = 1) -> Iterator[bytes]:
    """Yield signals that become the orders of `generate_orders`. Their idempotency keys are their ids."""
    chance, names = random.Random(seed), list_portfolio_names(portfolios)
    return _add_keys(
        [_build_post(key, "/api/v1/signals", _build_signal(chance, names)) for _ in range(_DRAWS)]
    )


def _add_keys(templates: list[tuple[bytes, bytes]]) -> Iterator[bytes]:
    run = secrets.token_hex(6).encode()
    for number, (head, tail) in enumerate(itertools.cycle(templates)):
        yield b"%b%b-%d%b" % (head, run, number, tail)


def _build_trade(chance: random.Random, names: list[str]) -> dict[str, object]:
    quantity = chance.randint(1, 1000)
    cents = quantity * chance.randint(1_000, 50_000)
    return {
        "symbol": f"SYM{chance.randrange(SYMBOLS):02d}",
        "quantity": quantity,
        "gmv": f"{cents // 100}.{cents % 100:02d}",
        "side": chance.choice(("BUY", "SELL")),
        "portfolio_name": chance.choice(names),
        "user_id": f"U{chance.randrange(100):04d}",
    }


def _build_order(chance: random.Random, names: list[str]) -> dict[str, object]:
    return {
        "portfolio_name": chance.choice(names),
        "symbol": f"SYM{chance.randrange(SYMBOLS):02d}",
        "side": chance.choice(("BUY", "SELL")),
        "quantity": str(chance.randint(1, 2)),
        "type": "MARKET",
    }


def _build_signal(chance: random.Random, names: list[str]) -> dict[str, object]:
    order = _build_order(chance, names)
    renamed = {"portfolio": "portfolio_name", "symbol": "symbol", "side": "side", "qty": "quantity"}
    return {name: order[field] for name, field in renamed.items()}


def _build_post(key: str, path: str, content: Mapping[str, object]) -> tuple[bytes, bytes]:
    """Return a POST request in two parts. The idempotency key goes between them."""
    body = json.dumps(content).encode()
    head = f"POST {path} HTTP/1.1\r\nHost: bench\r\nX-API-Key: {key}\r\n"
    head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\nIdempotency-Key: "
    return head.encode(), b"\r\n\r\n" + body


def generate_reads(key: str, path: str) -> Iterator[bytes]:
    """Yield GET requests of `path` without end. EACH_PORTFOLIO is replaced by every portfolio in turn."""
    paths = (
        [path.replace(EACH_PORTFOLIO, f"{book:02d}") for book in range(PORTFOLIOS)]
        if EACH_PORTFOLIO in path
        else [path]
    )
    return itertools.cycle(
        [f"GET {path} HTTP/1.1\r\nHost: bench\r\nX-API-Key: {key}\r\n\r\n".encode() for path in paths]
    )


# The generator of the requests, and the expected status of the responses
POSTED: dict[str, tuple[Callable[[str, int], Iterator[bytes]], bytes]] = {
    "trades": (generate_trades, b"201"),
    "batches": (generate_batches, b"200"),
    "orders": (generate_orders, b"201"),
    "signals": (generate_signals, b"201"),
}


def run_load(
    port: int, requests: Iterator[bytes], connections: int, warm: float, seconds: float, expected: bytes
) -> Tally:
    """Keep `connections` requests in flight. Responses in the `seconds` after `warm` count."""
    tally = Tally(array("d"))
    poller = select.epoll()
    open_connections = {
        line.socket.fileno(): line for line in (_open_connection(port) for _ in range(connections))
    }
    for number in open_connections:
        poller.register(number, select.EPOLLIN)
    begin = perf_counter() + warm
    end = begin + seconds
    for line in open_connections.values():
        _send_request(line, next(requests))
    while open_connections:
        for line in _wait_for_responses(poller, open_connections):
            now = perf_counter()
            tally.requests += 1
            if begin <= now < end:
                tally.record_response(line, now, expected)
            if now < end:
                _send_request(line, next(requests))
            else:
                open_connections.pop(line.socket.fileno()).socket.close()
    return tally


def _wait_for_responses(poller: select.epoll, connections: dict[int, Connection]) -> Iterator[Connection]:
    ready = poller.poll(PATIENCE_SECONDS)
    if not ready:
        raise TimeoutError(f"no answer within {PATIENCE_SECONDS:g} s")
    for number, _ in ready:
        line = connections[number]
        if _read_available(line):
            yield line


def _open_connection(port: int) -> Connection:
    client_socket = socket.create_connection(("127.0.0.1", port))
    client_socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return Connection(client_socket)


def _send_request(line: Connection, request: bytes) -> None:
    line.sent_at = perf_counter()
    line.socket.sendall(request)


def _read_available(line: Connection) -> bool:
    """Read the available bytes. Return whether the response is complete."""
    arrived = line.socket.recv(_RECEIVE_BYTES)
    if not arrived:
        raise ConnectionError("the service hung up")
    answer = line.answer + arrived if line.missing else arrived
    line.answer = answer
    if line.missing:
        line.missing -= len(arrived)
        return line.missing == 0
    head = answer.index(b"\r\n\r\n") + 4
    at = answer.index(b"content-length: ") + 16
    line.missing = head + int(answer[at : answer.index(b"\r", at)]) - len(answer)
    return line.missing == 0


def main() -> None:
    """Run with the options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("path", help=f"what to GET, or one of {', '.join(POSTED)} to POST these")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--warm", type=float, default=1.0, help="seconds before counting")
    parser.add_argument("--seconds", type=float, default=8.0)
    parser.add_argument("--portfolios", type=int, default=PORTFOLIOS)
    args = parser.parse_args()
    key = os.environ["OMS_API_KEY"]
    requests, expected = generate_reads(key, args.path), b"200"
    if args.path in POSTED:
        post, expected = POSTED[args.path]
        requests = post(key, args.portfolios)
    gc.disable()
    tally = run_load(args.port, requests, args.connections, args.warm, args.seconds, expected)
    print(json.dumps(tally.summarize(args.seconds)))


if __name__ == "__main__":
    main()
