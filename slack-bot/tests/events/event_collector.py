"""The bot's receiver as a separate program that keeps every event.

Arguments: a port, the address of the OMS, its key, the file of handled events, and the file to which the
events are appended. The tests of the OMS kill it at random.
"""

import json
import os
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from app.delivery.event_store import EventStore
from app.events.receiver import EventReceiver, run_registration
from app.events.registry import ALL_TYPES, Event, EventRegistry
from app.oms_client.event_api import EventApi
from app.services.dependencies import Services
from app.storage.connection import open_database
from app.storage.encryption import KeyRing, derive_keys
from app.storage.storage import create_storage
from app.storage.webhook_secrets import WebhookSecrets
from tests import factories

REGISTER_SECONDS = 5.0


def main(port: int, oms_url: str, key: str, store: Path, events: Path) -> None:
    """Register at the OMS again and again, and receive."""
    storage = create_storage(open_database(f"sqlite:///{store}"))
    parts = SimpleNamespace(
        storage=storage,
        handled_events=EventStore(storage, lambda: "T1"),
        webhook_secrets=WebhookSecrets(storage, KeyRing(derive_keys("of this test"))),
        stopping=threading.Event(),
        waits=SimpleNamespace(register_every=REGISTER_SECONDS, register_again=1.0),
    )
    services = cast("Services", parts)
    registry = EventRegistry()

    def keep(_services: Services, event: Event) -> None:
        with events.open("ab", buffering=0) as file:
            line = {"id": event.id, "type": event.type, "created_at": event.created_at, "data": event.payload}
            file.write(b"\n" + json.dumps(line).encode() + b"\n")
            os.fsync(file.fileno())

    registry.register(ALL_TYPES, keep)
    receiver = EventReceiver(services, registry)
    api = EventApi(factories.build_settings(oms_url=oms_url, oms_api_key=key))
    url = f"http://127.0.0.1:{port}/oms/events"
    threading.Thread(target=run_registration, args=(receiver, services, api, url), daemon=True).start()
    ThreadingHTTPServer(("127.0.0.1", port), _build_handler(receiver)).serve_forever()


def _build_handler(receiver: EventReceiver) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        """Passes deliveries to the receiver."""

        def do_POST(self) -> None:
            """Receive a delivery."""
            headers: dict[str, Any] = {name.lower(): value for name, value in self.headers.items()}
            body = self.rfile.read(int(headers["content-length"]))
            self.send_response(receiver.receive(headers, body))
            self.end_headers()

    return Handler


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2], sys.argv[3], Path(sys.argv[4]), Path(sys.argv[5]))
