"""Every event arrives as documented while workers, receivers, service and database are killed at random.

KILL_MINUTES sets the length (default 2). KILL_SEED repeats a sequence of kills; a failure prints it.
"""

import os
import threading
import time
from pathlib import Path
from random import Random

import pytest

from tests.factories import BOOTSTRAP_KEY, JWT_KEYS
from tests.faults.load import Connection
from tests.faults.process_control import OmsProcess, PostgresProcess, wait_until
from tests.support.ports import find_free_port
from tests.support.postgres import Databases
from tests.webhooks.oms_process import OMS_API, Program, read_events

pytestmark = pytest.mark.long

SLACK_BOT = OMS_API.parent / "slack-bot"
BOT_KEY = "bot-key-of-the-random-kills-" + "b" * 20
MINUTES = float(os.environ.get("KILL_MINUTES", "2"))
PAUSE_SECONDS = (1.0, 6.0)  # between two kills
MIN_EVENTS_A_MINUTE = 20
TRADE_SECONDS = 0.1
START_SECONDS = 120.0
END_SECONDS = 300.0


class Load:
    """Reports trades, and places and cancels orders, each until the service has answered."""

    def __init__(self, port):
        self._port, self._stop = port, threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.count, self.refused = 0, []

    def start(self):
        self._thread.start()

    def stop(self):
        self._stop.set()
        self._thread.join()

    def _run(self):
        with Connection(self._port) as connection:
            while not self._stop.is_set():
                self.count += 1
                trade = {"symbol": "AAPL", "side": "BUY", "quantity": "1", "price": "100"}
                self._send(connection, "/api/v1/trade", {**trade, "portfolio_name": f"Book {self.count % 3}"})
                if self.count % 5 == 0:
                    self._place_and_cancel(connection)
                time.sleep(TRADE_SECONDS)

    def _place_and_cancel(self, connection):
        order = {"symbol": "AAPL", "side": "BUY", "quantity": "1", "type": "LIMIT", "limit_price": "1"}
        placed = self._send(connection, "/api/v1/orders", {**order, "portfolio_name": "Book 0"})
        if placed is not None and "id" in placed:
            self._send(connection, f"/api/v1/orders/{placed['id']}/cancel", {})

    def _send(self, connection, path, body):
        key = f"{self.count}-{path}"
        while not self._stop.is_set():
            try:
                status, _, content = connection.call("POST", path, body, key)
            except ConnectionError:
                time.sleep(0.2)
                continue
            if status < 500 and status != 429:
                if status not in {200, 201}:
                    self.refused.append(content)
                return content
            time.sleep(0.2)
        return None


class Installation:
    """The database, the service, two workers and two receivers, on this machine."""

    def __init__(self, folder):
        self.folder = folder
        self.database = PostgresProcess()
        self.database.start()
        self.url = Databases(self.database.url).new()
        self.oms = OmsProcess(
            self.url, folder, ENVIRONMENT="development", DUTIES="worker", OMS_BOT_KEY=BOT_KEY,
            LOG_LEVEL="WARNING",
        )  # fmt: skip
        self.programs = []
        self.received = {name: folder / f"{name}.jsonl" for name in ("stranger", "bot")}
        self.stranger_url = f"http://127.0.0.1:{find_free_port()}/"

    def start(self):
        self.oms.start(ready=False)
        self.oms.wait_ready(START_SECONDS)
        self.baseline = {event["id"] for event in self.list_events()}
        self.webhook = self.register_stranger()
        self.programs = self._create_programs()

    def _create_programs(self):
        settings = {"OMS_API_KEY": BOOTSTRAP_KEY, "JWT_KEYS": JWT_KEYS, "DATABASE_URL": self.url}
        settings |= {"ENVIRONMENT": "development", "DUTIES": "worker"}
        port = self.stranger_url.rsplit(":", 1)[1].rstrip("/")
        stranger = [str(Path(__file__).with_name("stranger.py")), port, str(self.received["stranger"])]
        bot = [
            *(
                "-m",
                "tests.events.event_collector",
                str(find_free_port()),
                f"http://127.0.0.1:{self.oms.port}",
            ),
            *(BOT_KEY, str(self.folder / "handled.db"), str(self.received["bot"])),
        ]
        log = self.folder / "programs.log"
        return [
            *(Program(OMS_API, ["-m", "app.worker"], log, **settings) for _ in range(2)),
            Program(OMS_API, stranger, log, SECRET=self.webhook["secret"]),
            Program(SLACK_BOT, bot, log),
        ]

    def register_stranger(self):
        body = {"url": self.stranger_url, "event_types": ["*"]}
        with Connection(self.oms.port) as connection:
            status, _, content = connection.call("PUT", "/api/v1/webhooks/by-name/stranger", body)
        assert status in {200, 201}, content
        return content

    def list_events(self):
        """Return all events that the installation lists, oldest first."""
        events, path = [], "/api/v1/events?limit=1000"
        with Connection(self.oms.port) as connection:
            while path:
                status, headers, page = connection.call("GET", path)
                assert status == 200, page
                events += page
                link = headers.get("link", "")
                path = link.partition("<")[2].partition(">")[0] if 'rel="next"' in link else ""
        return events[::-1]

    def kill_one(self, random):
        """Kill a program, the service or the database, and start it again. Return None if it still starts."""
        number = random.randrange(len(self.programs) + 2)
        is_program = number < len(self.programs)
        if not (self.programs[number].has_run if is_program else self.oms.readiness() == 200):
            return None
        if is_program:
            self.programs[number].kill()
        elif number == len(self.programs):
            self.oms.kill()
            self.oms.start(ready=False)
        else:
            self.database.kill()
            time.sleep(random.random())
            self.database.start()
        return number

    def keep_running(self):
        for program in self.programs:
            program.keep_running()
        if self.oms.process.poll() is not None:
            self.oms.start(ready=False)

    def remove(self):
        for program in self.programs:
            program.kill()
        self.oms.remove()
        self.database.remove()


@pytest.fixture
def installation(tmp_path):
    installation = Installation(tmp_path)
    try:
        installation.start()
        yield installation
    finally:
        installation.remove()


@pytest.mark.timeout(int(MINUTES * 60 + END_SECONDS + 300))
def test_every_event_arrives_while_everything_is_killed_at_random(installation):
    seed = int(os.environ.get("KILL_SEED", str(time.time_ns() % 1_000_000)))
    random, kills = Random(seed), []
    installation.keep_running()
    with Connection(installation.oms.port) as connection:
        wait_until(
            lambda: len(connection.call("GET", "/api/v1/webhooks")[2]) == 2, START_SECONDS, "both registered"
        )
    load = Load(installation.oms.port)
    load.start()
    end = time.monotonic() + MINUTES * 60
    try:
        while time.monotonic() < end:
            time.sleep(random.uniform(*PAUSE_SECONDS))
            killed = installation.kill_one(random)
            kills += [] if killed is None else [killed]
            installation.keep_running()
    finally:
        load.stop()
    installation.oms.wait_ready(START_SECONDS)
    installation.keep_running()
    assert load.refused == []
    installation.register_stranger()  # as a program does at its start: pending deliveries are sent at once
    listed = {
        event["id"]: event for event in installation.list_events() if event["id"] not in installation.baseline
    }

    def is_complete():
        installation.keep_running()
        time.sleep(1.0)
        return all(not listed.keys() - read_events(file).keys() for file in installation.received.values())

    print(f"seed {seed}: {len(kills)} kills in {MINUTES:g} minutes, {len(listed)} events", flush=True)
    assert len(listed) > MINUTES * MIN_EVENTS_A_MINUTE
    wait_until(is_complete, END_SECONDS, f"every event has arrived (seed {seed})")
    for file in installation.received.values():
        received = read_events(file)
        assert all(received[event_id] == event for event_id, event in listed.items()), f"seed {seed}"
    assert_orders_are_in_order(read_events(installation.received["stranger"]), seed)


def assert_orders_are_in_order(received, seed):
    """Check that the events of an order arrived first in their order."""
    sequences: dict[str, list[int]] = {}
    for event in received.values():
        if event["type"].startswith("order."):
            sequences.setdefault(event["data"]["order_id"], []).append(event["data"]["sequence"])
    assert all(sequence == sorted(sequence) for sequence in sequences.values()), f"seed {seed}: {sequences}"
    assert sequences
