"""After HALTED is answered, no order reaches a broker: two processes under load on one database."""

import threading
import time
from contextlib import ExitStack

import httpx
import pytest
from sqlalchemy import text

from app.database import connect_engine
from tests.factories import BOOTSTRAP_KEY, build_ticket_body, build_trade_body
from tests.support.processes import run_process

KEY = {"X-API-Key": BOOTSTRAP_KEY}
THREADS_EACH = 3
WARM = 60  # answers before the halt
AFTER = 60  # answers to requests that began after it
PATIENCE_SECONDS = 60
# The requests and executions of a broker, and the trades that were reported from elsewhere.
_REACHED = """
    SELECT (SELECT count(*) FROM order_events
            WHERE to_status = 'SUBMITTED' OR following LIKE '%"SUBMITTED"%'),
        (SELECT count(*) FROM executions), (SELECT count(*) FROM trades)
"""


@pytest.fixture(scope="module")
def two_processes(backend, new_database):
    """Two processes on one database, and a look at its tables."""
    url = new_database(backend)
    settings = {"DATABASE_URL": url, "LOG_LEVEL": "ERROR", "ENVIRONMENT": "production"}
    settings["PRICE_SOURCE"] = "manual"
    engine = connect_engine(url, readers=1)
    with ExitStack() as stack:
        services = [stack.enter_context(run_process(**settings)) for _ in range(2)]
        clients = [
            stack.enter_context(httpx.Client(base_url=f"{process.url}/api/v1", headers=KEY, timeout=30))
            for process in services
        ]
        quote = {"bid": "100", "ask": "100", "last": "100"}
        assert clients[0].put("/quotes/AAPL", json=quote).status_code == 200
        assert clients[0].post("/portfolios", json={"name": "Growth"}).status_code == 201
        yield clients, engine
    engine.dispose()


class Load:
    """Threads that ask again and again, and remember when each question began and how it was answered."""

    def __init__(self, clients, path, body):
        self.answers, self.stop = [], threading.Event()
        self._asked = [(client, path, body) for client in clients * THREADS_EACH]

    def __enter__(self):
        self._threads = [threading.Thread(target=self._send, args=job) for job in self._asked]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.stop.set()
        for thread in self._threads:
            thread.join(PATIENCE_SECONDS)

    def _send(self, client, path, body):
        while not self.stop.is_set():
            begun = time.monotonic()
            response = client.post(path, json=body)
            self.answers.append((begun, response.status_code))

    def wait_for(self, count, since=0.0):
        """Wait until so many questions that began at `since` or later were answered."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while sum(begun >= since for begun, _ in list(self.answers)) < count:
            assert time.monotonic() < deadline
            threading.Event().wait(0.005)


def set_switch(client, state, scope, name):
    response = client.post("/kill-switch", json={"scope": scope, "name": name, "state": state})
    assert response.status_code == 200, response.text
    assert response.json()["pending_portfolios"] == []


def read_reached(engine):
    with engine.connect() as connection:
        return tuple(connection.execute(text(_REACHED)).one())


ORDER = build_ticket_body(quantity="1", strategy="momentum")
REPORT = build_trade_body(quantity="1", gmv="1")


@pytest.mark.parametrize(
    ("scope", "name", "path", "body"),
    [
        ("tenant", None, "/orders", ORDER),
        ("portfolio", "Growth", "/orders", ORDER),
        ("strategy", "momentum", "/orders", ORDER),
        ("tenant", None, "/trade", REPORT),
        ("portfolio", "Growth", "/trade", REPORT),
    ],
)
def test_no_order_reaches_the_broker_after_a_halt_is_answered(two_processes, scope, name, path, body):
    clients, engine = two_processes
    with Load(clients, path, body) as load:
        load.wait_for(WARM)
        set_switch(clients[0], "HALTED", scope, name)
        halted, at_the_halt = time.monotonic(), read_reached(engine)
        load.wait_for(AFTER, since=halted)
    try:
        assert {status for begun, status in load.answers if begun < halted} >= {201}
        assert {status for begun, status in load.answers if begun >= halted} == {422}
        assert read_reached(engine) == at_the_halt
    finally:
        set_switch(clients[1], "ACTIVE", scope, name)
