"""An installation that receives signals in three ways while everything of it is killed at random."""

import json
import threading
import time
from pathlib import Path

from tests.factories import BOOTSTRAP_KEY, JWT_KEYS
from tests.faults.load import Connection
from tests.faults.process_control import OmsProcess, PostgresProcess
from tests.support.ports import find_free_port
from tests.support.postgres import Databases
from tests.support.redis import RedisServer
from tests.webhooks.oms_process import OMS_API, Program

STREAM, DEAD = "trade_signals_stream", "trade_signals_dead"
START_SECONDS = 600.0  # of a busy machine
SIGNAL_SECONDS = 0.3  # between two signals of a sender
RETRY_SECONDS = 0.3


class Installation:
    """PostgreSQL, Redis, two API processes, two workers and the receiver of a webhook."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.database, self.redis = PostgresProcess(), RedisServer(is_durable=True)
        self.received = folder / "received.jsonl"
        self.receiver_port = find_free_port()
        self.database.start()
        self.redis.start()
        self.url = Databases(self.database.url).new()
        settings = {"ENVIRONMENT": "development", "DUTIES": "worker", "REDIS_URL": self.redis.url}
        settings |= {"EQUITY_INTERVAL_SECONDS": "5", "PRICE_SOURCE": "manual"}
        self.services = [OmsProcess(self.url, folder, **settings) for _ in range(2)]
        settings |= {"OMS_API_KEY": BOOTSTRAP_KEY, "JWT_KEYS": JWT_KEYS, "DATABASE_URL": self.url}
        self._settings = settings | {"LOG_LEVEL": "WARNING"}
        self.programs: list[Program] = []
        self.hook_path = ""

    def start(self) -> None:
        """Start all programs, and create the hook, the portfolio and the webhook of the signals."""
        for service in self.services:
            service.start(ready=False)
            service.wait_ready(START_SECONDS)
        self.hook_path = self.call("POST", "/signals/hooks", {"name": "charts"})["path"]
        self.call("POST", "/portfolios", {"name": "Growth", "opening_cash": "1000000"})
        self.call("PUT", "/quotes/AAPL", {"bid": "99", "ask": "101", "last": "100"})
        secret = self.register_receiver()
        log = self.folder / "programs.log"
        receiver = [str(OMS_API / "tests/webhooks/stranger.py"), str(self.receiver_port), str(self.received)]
        workers = [Program(OMS_API, ["-m", "app.worker"], log, **self._settings) for _ in range(2)]
        self.programs = [*workers, Program(OMS_API, receiver, log, SECRET=secret)]
        self.keep_running()

    def call(self, method, path, body=None):
        """Return the response of a service, which must succeed."""
        with Connection(self.services[0].port) as connection:
            status, _, content = connection.call(method, f"/api/v1{path}", body)
        assert 200 <= status < 300, content
        return content

    def register_receiver(self) -> str:
        """Register the receiver, as it does at its start: pending events are sent at once."""
        url = f"http://127.0.0.1:{self.receiver_port}/"
        webhook = self.call("PUT", "/webhooks/by-name/receiver", {"url": url, "event_types": ["signal.*"]})
        return str(webhook.get("secret", ""))

    def keep_running(self) -> None:
        """Start the programs and services that have ended."""
        for program in self.programs:
            program.keep_running()
        for service in self.services:
            if service.process.poll() is not None:
                service.start(ready=False)

    def kill_one(self, random) -> str:
        """Kill one of the processes, and start it again. Return its name, "" if all of its kind start."""
        names = ["database", "redis", "redis gone", "api 0", "api 1", "worker 0", "worker 1", "receiver"]
        name = str(random.choice(names))
        if name == "database":
            self.database.kill()
            time.sleep(random.random())
            self.database.start()
        elif name.startswith("redis"):
            self.redis.kill()
            time.sleep(random.uniform(5, 20) if name == "redis gone" else random.random())
            self.redis.start()
        elif name.startswith("api"):
            service = self.services[int(name[-1])]
            if service.readiness() != 200:
                return ""
            service.kill()
        else:
            program = self.programs[-1 if name == "receiver" else int(name[-1])]
            if not program.has_run:
                return ""
            program.kill()
        self.keep_running()
        return name

    def remove(self) -> None:
        """End everything."""
        for program in self.programs:
            program.kill()
        for service in self.services:
            service.remove()
        self.redis.remove()
        self.database.remove()


class Sender:
    """Sends signals one after another, each until it is accepted. `sent` has the quantity by the id."""

    def __init__(self, installation: Installation, channel: str) -> None:
        self._installation, self._channel = installation, channel
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.sent: dict[str, int] = {}
        self.refused: list[object] = []
        self.longest_seconds = 0.0

    def start(self) -> None:
        """Start to send."""
        self._thread.start()

    def stop(self) -> None:
        """Send no new signal, and wait until the last one is accepted."""
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.is_set():
            number = len(self.sent)
            signal_id, side = f"{self._channel}-{number}", ("buy", "sell")[number % 2]
            body: dict[str, object] = {"id": signal_id, "symbol": "AAPL", "portfolio": "Growth"}
            body |= {"side": side, "qty": 1 + number % 2 + number % 3}
            began = time.monotonic()
            while not self._is_accepted(body, number):
                time.sleep(RETRY_SECONDS)
            self.longest_seconds = max(self.longest_seconds, time.monotonic() - began)
            self.sent[signal_id] = (1 if side == "buy" else -1) * (1 + number % 2 + number % 3)
            time.sleep(SIGNAL_SECONDS)

    def _is_accepted(self, body: dict[str, object], number: int) -> bool:
        if self._channel == "redis":
            return self._is_in_stream(body)
        path = "/api/v1/signals" if self._channel == "rest" else self._installation.hook_path
        port = self._installation.services[number % 2].port
        try:
            with Connection(port) as connection:
                status, _, content = connection.call("POST", path, body)
        except OSError:
            return self._is_accepted(body, number + 1) if number % 2 == 0 else False
        if status in {201, 202}:
            return True
        if status < 500 and status != 429:
            self.refused.append(content)
            return True
        return False

    def _is_in_stream(self, body: dict[str, object]) -> bool:
        try:
            with self._installation.redis.client() as client:
                client.xadd(STREAM, {"data": json.dumps(body)})
        except OSError:
            return False
        except Exception as error:  # noqa: BLE001  # the client's errors: it is away, or loads its file
            return not type(error).__module__.startswith("redis")
        return True
