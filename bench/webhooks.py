"""Delivers events to webhooks on this machine: the time from the commit until an endpoint has the request.

Needs the service's package on its path: `PYTHONPATH=oms-api python -m bench.webhooks [--seconds 20]
[--sqlite]`.
"""

import argparse
import asyncio
import json
import multiprocessing
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection as Pipe
from time import perf_counter, sleep, time

from sqlalchemy import Engine, text

from app.assembly.background_jobs import create_delivery_runner
from app.assembly.security import create_key_ring
from app.clock import utc_now
from app.config import Settings
from app.database import connect_engine, execute_writes, set_tenant_scope, unit_of_work
from app.events.service.outbox import build_event_insert
from app.migrate import migrate
from app.timestamps import format_timestamp
from app.webhooks.queries.webhooks import WEBHOOKS, StoredWebhook
from app.webhooks.rules.signatures import format_secret
from app.webhooks.service.webhooks import get_secret_context
from bench.disk import create_scratch_folder
from bench.postgres import run_postgres
from bench.report import ResultLine, check_at_most, print_lines
from bench.service import generate_key

ENDPOINTS, HANGING, RATE = 1_000, 10, 100
_SETTLE_SECONDS = 8.0  # every endpoint gets a first event, and the hanging ones are found out
_END_SECONDS = 3.0


def measure(seconds: float, *, on_sqlite: bool = False) -> list[ResultLine]:
    """Return the lines of the table: one endpoint, and 1,000 of which 10 hang."""
    single = _measure_rate(seconds, 1, 0, on_sqlite=on_sqlite)
    milliseconds = _measure_rate(seconds, ENDPOINTS, HANGING, on_sqlite=on_sqlite)
    label = f"{ENDPOINTS:,} webhooks, {HANGING} of which hang: the others, p99"
    return [
        ResultLine(
            f"commit → webhook at {RATE} events/s, p99", f"{single:.0f} ms", check_at_most(single, 500, 150)
        ),
        ResultLine(label, f"{milliseconds:.0f} ms", check_at_most(milliseconds, 1_000, 300)),
    ]


def _measure_rate(seconds: float, endpoints: int, hanging_count: int, *, on_sqlite: bool) -> float:
    with create_scratch_folder() as folder:
        if on_sqlite:
            return _measure_deliveries(f"sqlite:///{folder}/hooks.db", seconds, endpoints, hanging_count)
        with run_postgres(folder) as server:
            return _measure_deliveries(server.create_database("hooks"), seconds, endpoints, hanging_count)


def _measure_deliveries(url: str, seconds: float, endpoints: int, hanging_count: int) -> float:
    settings = Settings(_env_file=None, oms_api_key=generate_key(), database_url=url)
    owner = connect_engine(url)
    migrate(owner)
    owner.dispose()
    engine = connect_engine(url, readers=2, tenant_scoped=True)
    with _run_endpoints(hanging_count) as (port, pipe):
        _create_webhooks(engine, settings, port, endpoints)
        runner = create_delivery_runner(settings, engine, utc_now)
        runner.start()
        sleep(1.0)
        committed = _write_events(engine, seconds + _SETTLE_SECONDS, endpoints)
        sleep(_END_SECONDS)
        runner.close()
        pipe.send("stop")
        received_times: dict[int, float] = pipe.recv()
    engine.dispose()
    start = min(committed.values()) + _SETTLE_SECONDS
    counted = {n: at for n, at in committed.items() if at >= start and n % endpoints >= hanging_count}
    lost_numbers = [n for n in counted if n not in received_times]
    if lost_numbers:
        raise RuntimeError(f"{len(lost_numbers)} of {len(counted)} events did not arrive")
    delays = sorted(1000 * (received_times[n] - at) for n, at in counted.items())
    p50, p99 = delays[len(delays) // 2], delays[len(delays) * 99 // 100]
    print(f"  {endpoints:,} webhooks, {len(delays):,} events: p50 {p50:.0f} ms, p99 {p99:.0f} ms", flush=True)
    return p99


def _create_webhooks(engine: Engine, settings: Settings, port: int, count: int) -> None:
    """Create a tenant with a webhook for each number. The path of its URL is the number."""
    keys, now = create_key_ring(settings), utc_now()
    with unit_of_work(engine) as connection:
        for tenant_id in range(2, count + 1):
            statement = "INSERT INTO tenants (id, slug, name, created_at) VALUES (:id, :slug, 'Bench', :at)"
            row = {"id": tenant_id, "slug": f"bench-{tenant_id}", "at": format_timestamp(now)}
            connection.execute(text(statement), row)
        set_tenant_scope(connection, range(1, count + 1))
        for number in range(count):
            tenant_id, webhook_id = number + 1, f"wh_{number:024x}"
            secret = keys.encrypt(format_secret(b"s" * 32), get_secret_context(tenant_id, webhook_id))
            url = f"http://127.0.0.1:{port}/{number}"
            WEBHOOKS.insert(
                connection,
                StoredWebhook(
                    *(webhook_id, tenant_id, None, "bench", url, "order.*", None, "enabled", None),
                    *(secret, None, None, 0, 1, "key:bench", now, now),
                ),
            )


def _write_events(engine: Engine, seconds: float, tenants: int) -> dict[int, float]:
    """Write numbered events at the rate, to one tenant after the other. Return the times of the commits."""
    committed: dict[int, float] = {}
    started = perf_counter()
    for number in range(int(seconds * RATE)):
        sleep(max(0.0, started + number / RATE - perf_counter()))
        tenant_id = number % tenants + 1
        payload = json.dumps(
            {"order_id": f"O{number}", "portfolio_id": 1, "number": number, "note": "x" * 600}
        )
        with unit_of_work(engine) as connection:
            set_tenant_scope(connection, [tenant_id])
            connection.execute(text("SELECT 1"))
            execute_writes(
                connection,
                build_event_insert([(tenant_id, "order.filled", payload, format_timestamp(utc_now()))]),
            )
        committed[number] = time()
    return committed


@contextmanager
def _run_endpoints(hanging_count: int) -> Iterator[tuple[int, Pipe]]:
    """Run the endpoints in a separate process. Yield their port, and a pipe that returns the times."""
    pipe, other = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(
        target=_receive_deliveries, args=(other, hanging_count), daemon=True
    )
    process.start()
    try:
        yield pipe.recv(), pipe
    finally:
        process.kill()
        process.join()


def _receive_deliveries(pipe: Pipe, hanging_count: int) -> None:
    asyncio.run(_serve_endpoints(pipe, hanging_count))


async def _serve_endpoints(pipe: Pipe, hanging_count: int) -> None:
    received_times: dict[int, float] = {}

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
        body = json.loads(await reader.readexactly(length))
        received_times.setdefault(body["data"]["number"], time())
        if int(head.split(b" ")[1][1:]) < hanging_count:
            await asyncio.sleep(3600)
        writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0, backlog=1024)
    pipe.send(server.sockets[0].getsockname()[1])
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    threading.Thread(
        target=lambda: (pipe.recv(), loop.call_soon_threadsafe(stopped.set)), daemon=True
    ).start()
    await stopped.wait()
    pipe.send(received_times)
    await asyncio.sleep(1.0)


def main() -> int:
    """Measure, and print the lines. Return 1 if a required value was missed."""
    parser = argparse.ArgumentParser(prog="python -m bench.webhooks", description=__doc__)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--sqlite", action="store_true")
    options = parser.parse_args()
    lines = measure(options.seconds, on_sqlite=options.sqlite)
    print_lines(lines)
    return int(any(line.outcome.startswith("MISSED") for line in lines))


if __name__ == "__main__":
    sys.exit(main())
