"""Any number of processes run the dispatcher, and one at a time delivers, whoever is killed."""

import json
import os
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest
from standardwebhooks import Webhook
from typing_extensions import override

from app.webhooks.service.delivery_runner import DeliveryRunner
from tests.factories import BOOTSTRAP_KEY, JWT_KEYS
from tests.support.conditions import wait_until
from tests.support.guarded_programs import start_guarded
from tests.webhooks.webhook_rows import create_webhook, list_trade_events

OMS_API = Path(__file__).parents[2]


@pytest.mark.any_database
def test_second_worker_waits_and_takes_over_when_the_first_stops(tenant, dispatching_tenant, endpoints):
    runners = [
        DeliveryRunner(dispatching_tenant.engine, dispatching_tenant.create, dispatching_tenant.clock)
        for _ in range(2)
    ]
    create_webhook(tenant, types=["trade.*"])
    try:
        runners[0].start()
        first = tenant.record_trade()["trade_id"]
        wait_until(lambda: first in list_trade_events(endpoints))
        runners[1].start()
        second = tenant.record_trade()["trade_id"]
        wait_until(lambda: second in list_trade_events(endpoints))
        runners[0].close()
        third = tenant.record_trade()["trade_id"]
        wait_until(lambda: third in list_trade_events(endpoints))
    finally:
        for runner in runners:
            runner.close()
    assert list_trade_events(endpoints) == [first, second, third], "each event is sent by one of them"


class Receiver(BaseHTTPRequestHandler):
    """A stranger's receiver. It verifies each delivery, and fails some."""

    secret, count = "", 0
    received: ClassVar[dict[str, list[Any]]] = {}

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        event = Webhook(Receiver.secret).verify(
            body, {name.lower(): text for name, text in self.headers.items()}
        )
        Receiver.count += 1
        is_accepted = Receiver.count % 50 != 0
        if is_accepted:
            Receiver.received.setdefault(event["id"], []).append(event)
        self.send_response(204 if is_accepted else 500)
        self.end_headers()

    @override
    def log_message(self, *_):
        """Print nothing."""


@pytest.mark.long
def test_workers_that_are_killed_in_the_middle_lose_no_event(tenant, hooks):
    server = ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    Receiver.received, Receiver.count = {}, 0
    webhook = create_webhook(tenant, f"http://127.0.0.1:{server.server_port}/", ["trade.*"])
    Receiver.secret = webhook["secret"]
    environment = {"PATH": os.environ["PATH"], "OMS_API_KEY": BOOTSTRAP_KEY, "JWT_KEYS": JWT_KEYS}
    environment |= {"DATABASE_URL": hooks.database_url, "ENVIRONMENT": "development", "DUTIES": "worker"}

    def start():
        return start_guarded([sys.executable, "-m", "app.worker"], cwd=OMS_API, env=environment)

    trades = set()
    workers = [start(), start()]
    for round_ in range(6):
        for _ in range(40):
            trades.add(tenant.record_trade()["trade_id"])
            time.sleep(0.05)
        workers[round_ % 2].kill()
        workers[round_ % 2].wait()
        workers[round_ % 2] = start()

    def is_complete():
        trade_ids = [events[0]["data"]["trade_id"] for events in list(Receiver.received.values())]
        return set(trade_ids) == trades

    try:
        wait_until(is_complete)
    finally:
        for worker in workers:
            worker.kill()
            worker.wait()
        server.shutdown()
        server.server_close()
    assert all(len({json.dumps(event) for event in events}) == 1 for events in Receiver.received.values())
