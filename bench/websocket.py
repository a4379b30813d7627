"""Send 100 quotes a second to 500 WebSocket clients, each subscribed to all symbols: the delay.

The delay is the time from `PUT /quotes` until a client has the frame. The clients run in a process of their
own. `python -m bench.websocket [--seconds 10] [--clients 500]`.
"""

import argparse
import asyncio
import json
import multiprocessing
import sys
from multiprocessing.connection import Connection as Pipe
from pathlib import Path
from time import sleep, time

import httpx
from websockets.asyncio.client import ClientConnection, connect

from bench.disk import create_scratch_folder
from bench.postgres import run_postgres
from bench.processor_time import read_processor_seconds
from bench.report import ResultLine, check_at_most, print_lines
from bench.service import Service, generate_key, migrate, run_api

CLIENTS, RATE, SYMBOLS, SECONDS = 500, 100, 100, 10
_CONNECTIONS_AT_ONCE = 25
_SETTLE_SECONDS, _END_SECONDS = 2.0, 1.5
_START_SECONDS = 120


def measure(seconds: float = SECONDS, clients: int = CLIENTS) -> list[ResultLine]:
    """Return the line of the table."""
    with create_scratch_folder() as folder, run_postgres(folder) as server:
        url, key = server.create_database("sockets"), generate_key()
        migrate(url, key)
        with run_api(url, folder / "api.log", key, settings={"LOG_LEVEL": "WARNING"}) as service:
            p99 = _measure_latency(service, seconds, clients, folder)
    label = f"{clients} WebSocket clients, {RATE} quotes/s each: delay, p99"
    return [ResultLine(label, f"{p99:.0f} ms", check_at_most(p99, 250, 100))]


def _measure_latency(service: Service, seconds: float, clients: int, folder: Path) -> float:
    pipe, other = multiprocessing.Pipe()
    arguments = (other, service.port, service.key, clients)
    process = multiprocessing.get_context("spawn").Process(target=_run_receiver, args=arguments, daemon=True)
    process.start()
    try:
        if not pipe.poll(_START_SECONDS):
            raise RuntimeError("the clients do not connect: " + (folder / "api.log").read_text()[-2000:])
        pipe.recv()
        before, started = read_processor_seconds(service.process_id), time()
        sent_times = asyncio.run(_send_quotes(service, seconds + _SETTLE_SECONDS))
        sleep(_END_SECONDS)
        seconds_used = read_processor_seconds(service.process_id) - before
        processor_share = seconds_used / (time() - started)
        pipe.send("stop")
        received_quotes: list[tuple[int, float]]
        received_quotes, frames = pipe.recv()
    finally:
        process.kill()
        process.join()
    begin = min(sent_times.values()) + _SETTLE_SECONDS
    delays = sorted(
        1000 * (at - sent_times[number]) for number, at in received_quotes if sent_times[number] >= begin
    )
    expected = clients * sum(at >= begin for at in sent_times.values())
    p50, p99 = delays[len(delays) // 2], delays[len(delays) * 99 // 100]
    print(
        f"  {clients} clients: {len(delays):,} of {expected:,} quotes (conflated), p50 {p50:.0f} ms, "
        f"p99 {p99:.0f} ms, max {delays[-1]:.0f} ms; the API used {processor_share:.0%} of a core, "
        f"{1e6 * seconds_used / frames:.0f} µs for each of {frames:,} frames",
        flush=True,
    )
    return p99


async def _send_quotes(service: Service, seconds: float) -> dict[int, float]:
    """Publish numbered quotes at the rate, on one symbol after the other; return the times."""
    sent_times: dict[int, float] = {}
    url, headers = f"http://127.0.0.1:{service.port}/api/v1", {"X-API-Key": service.key}
    async with (
        httpx.AsyncClient(base_url=url, headers=headers, timeout=30) as client,
        asyncio.TaskGroup() as group,
    ):
        started = time()
        for number in range(1, int(seconds * RATE) + 1):
            await asyncio.sleep(max(0.0, started + number / RATE - time()))
            sent_times[number] = time()
            group.create_task(client.put(f"/quotes/SYM{number % SYMBOLS}", json={"last": str(number)}))
    return sent_times


def _run_receiver(pipe: Pipe, port: int, key: str, clients: int) -> None:
    asyncio.run(_receive_quotes(pipe, port, key, clients))


class Clients:
    """The clients of one process. `received` has the number and the time of each quote that arrived."""

    def __init__(self, port: int, key: str) -> None:
        self._uri, self._key = f"ws://127.0.0.1:{port}/api/v1/ws", key
        self._channels = [f"quotes:SYM{number}" for number in range(SYMBOLS)]
        self._gate = asyncio.Semaphore(_CONNECTIONS_AT_ONCE)
        self.received: list[tuple[int, float]] = []
        self.frames = 0

    async def subscribe(self) -> ClientConnection:
        """Connect, and subscribe to all symbols."""
        async with self._gate:
            socket = await connect(self._uri, compression=None, max_queue=None, open_timeout=60)
            await socket.send(json.dumps({"action": "auth", "key": self._key}))
            await socket.send(json.dumps({"action": "subscribe", "channels": self._channels}))
            for _ in range(3):  # authenticated, subscribed, the current quotes
                await socket.recv()
            return socket

    async def read(self, socket: ClientConnection) -> None:
        """Note the quotes of a client. Its first quotes are simulated."""
        async for text in socket:
            now = time()
            self.frames += 1
            frame = json.loads(text)
            quotes = frame.get("items") or [frame["data"]]
            numbers = (int(float(quote["last"])) for quote in quotes if quote["source"] == "manual")
            self.received += [(number, now) for number in numbers]


async def _receive_quotes(pipe: Pipe, port: int, key: str, count: int) -> None:
    clients = Clients(port, key)
    sockets = await asyncio.gather(*(clients.subscribe() for _ in range(count)))
    readers = [asyncio.create_task(clients.read(socket)) for socket in sockets]
    pipe.send("ready")
    await asyncio.to_thread(pipe.recv)  # until it must stop
    errors = [reader.exception() for reader in readers if reader.done()]
    if errors:
        raise RuntimeError(f"{len(errors)} connections ended: {errors[0]!r}")
    pipe.send((clients.received, clients.frames))
    await asyncio.sleep(_SETTLE_SECONDS)


def main() -> int:
    """Run the benchmark alone."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=SECONDS)
    parser.add_argument("--clients", type=int, default=CLIENTS)
    options = parser.parse_args()
    lines = measure(options.seconds, options.clients)
    print_lines(lines)
    return int(any(line.outcome.startswith("MISSED") for line in lines))


if __name__ == "__main__":
    sys.exit(main())
