"""A dispatcher that a test drives itself, with endpoints that answer as the test says."""

import asyncio
import json
import time
from collections import defaultdict

import pytest

from app.assembly.security import create_address_policy, create_key_ring
from app.clock import utc_now
from app.database import connect_engine
from app.http.opaque_ids import OpaqueIds
from app.webhooks.rules.attempts import AttemptResult
from app.webhooks.service.dispatch_store import DispatchStore
from app.webhooks.service.dispatcher import Dispatcher
from tests.support.conditions import WAIT_SECONDS
from tests.support.service import build_settings, run_service


class Endpoints:
    """Stands in for the sender: records every request, and answers by URL."""

    def __init__(self):
        self.requests = []  # (url, headers, body)
        self.answers = defaultdict(list)  # results of the next requests, by URL
        self.hanging = set()
        self.running = defaultdict(int)
        self.most_running = defaultdict(int)

    async def send(self, _tenant_id, url, headers, body):
        self.running[url] += 1
        self.most_running[url] = max(self.most_running[url], self.running[url])
        try:
            self.requests.append((url, dict(headers), body))
            await asyncio.sleep(60 if url in self.hanging else 0.001)
            return self.answers[url].pop(0) if self.answers[url] else AttemptResult(204, 1)
        finally:
            self.running[url] -= 1

    def events(self, url):
        """Return the received events of a URL, in order."""
        return [json.loads(body) for to, _, body in self.requests if to == url]


class Clock:
    """The real time, moved forward by the test."""

    def __init__(self):
        self.ahead = None

    def __call__(self):
        return utc_now() if self.ahead is None else utc_now() + self.ahead


class Dispatching:
    """Creates dispatchers of a service, as its processes would."""

    def __init__(self, service, endpoints, clock):
        settings = build_settings(service.database_url, environment="development")
        self.counted = []  # outcomes of requests
        self.engine = connect_engine(service.database_url, readers=2, tenant_scoped=True)
        self.endpoints, self.clock = endpoints, clock
        self._keys, self._secret = create_key_ring(settings), settings.oms_api_key
        assert create_address_policy(settings).allows_loopback

    def create(self):
        store = DispatchStore(self.engine, OpaqueIds(self._secret))
        return Dispatcher(
            store,
            self.endpoints,
            self._keys,
            self.clock,
            lambda: 0.5,
            lambda *args: self.counted.append(args),
        )

    def run(self, until, dispatcher=None, *, kill=False):
        """Run a dispatcher until a condition holds. With `kill`, nothing is stored afterwards."""

        async def drive():
            used = dispatcher or self.create()
            deadline = time.monotonic() + WAIT_SECONDS
            while not until():
                assert time.monotonic() < deadline, "it did not come true"
                await used.run_cycle()
                await asyncio.sleep(0.01)
            if not kill:
                await used.close(1.0)

        asyncio.run(drive())


@pytest.fixture(scope="module")
def hooks(backend, new_database):
    """Provide a service whose webhooks no other module has."""
    with run_service(new_database(backend), environment="development") as service:
        yield service


@pytest.fixture
def tenant(hooks):
    """Provide a tenant; its webhooks are deleted afterwards, so that other tests do not deliver to them."""
    api = hooks.create_client()
    yield api
    for webhook in api.get("/webhooks").json():
        path = f"/api/v1/webhooks/{webhook['id']}"
        assert hooks.client.delete(path, headers={"X-API-Key": api.key}).status_code == 204


@pytest.fixture
def endpoints():
    return Endpoints()


@pytest.fixture
def dispatching_tenant(hooks, endpoints):
    dispatching = Dispatching(hooks, endpoints, Clock())
    yield dispatching
    dispatching.engine.dispose()
