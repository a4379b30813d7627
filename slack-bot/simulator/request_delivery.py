"""Deliver signed requests to the bot, with a timeout of three seconds."""

import http.client
import json
import threading
import time
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from simulator import signing
from simulator.config import Settings
from simulator.request_log import Entry
from simulator.workspace_state import WorkspaceState

TIMEOUT_SECONDS = 3.0
MAX_RESPONSE_BYTES = 1_000_000
FORM = "application/x-www-form-urlencoded"
JSON = "application/json"
TIMEOUT = "timeout"
UNREACHABLE = "unreachable"


@dataclass(frozen=True)
class Request:
    """A request to deliver. ``kind`` is its name in the log."""

    kind: str
    path: str
    body: bytes
    content_type: str = FORM
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Reply:
    """The bot's response. ``failure`` is empty, ``timeout`` or ``unreachable``."""

    delivery_id: int
    status: int = 0
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    failure: str = ""

    @property
    def ok(self) -> bool:
        """Whether the bot responded in time with a status of 2xx."""
        return not self.failure and 200 <= self.status < 300

    def json(self) -> Any:
        """Return the body as JSON, or None if it is not JSON."""
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError):
            return None


class RequestSender:
    """Delivers requests to the bot and logs them."""

    def __init__(self, settings: Settings, workspace_state: WorkspaceState) -> None:
        self._secret = settings.signing_secret
        self._bot = urlsplit(settings.bot_url)
        self._state = workspace_state
        self.closing = threading.Event()

    def send(self, request: Request) -> Reply:
        """Sign and deliver a request. Wait up to three seconds for the response."""
        return self._deliver(
            request, signing.build_signature_headers(self._secret, request.body, int(time.time()))
        )

    def repeat(self, entry: Entry, fresh: bool) -> Reply:
        """Deliver the same body again, with the original signature or a new one."""
        request = Request(
            entry["kind"], entry["path"], entry["body"].encode(), entry["content_type"], entry["extra"]
        )
        if fresh:
            return self.send(request)
        return self._deliver(request, dict(entry["signature"]))

    def _deliver(self, request: Request, signature: dict[str, str]) -> Reply:
        with self._state.change():
            fault = self._state.faults.take_delivery_fault()
            entry = self._log_delivery(request, signature)
        if fault and fault.delay_seconds:
            self.closing.wait(fault.delay_seconds)
        started = time.monotonic()
        if fault and fault.lose:
            reply = Reply(entry["id"], failure=TIMEOUT)
        else:
            reply = self._send_once(entry, request, signature, drop_connection=bool(fault and fault.drop))
        with self._state.change():
            entry["status"], entry["failure"] = reply.status, reply.failure
            entry["response"] = reply.body.decode(errors="replace")
            entry["milliseconds"] = round((time.monotonic() - started) * 1000)
        return reply

    def _log_delivery(self, request: Request, signature: dict[str, str]) -> Entry:
        return self._state.request_log.add_delivery(
            at=self._state.clock.now(),
            kind=request.kind,
            path=request.path,
            body=request.body.decode(),
            content_type=request.content_type,
            extra=request.headers,
            signature=signature,
            status=None,
            failure="",
            response="",
            problem="",
            milliseconds=None,
        )

    def _send_once(
        self, entry: Entry, request: Request, signature: dict[str, str], drop_connection: bool
    ) -> Reply:
        connection = self._create_connection()
        try:
            headers = {"Content-Type": request.content_type, "User-Agent": "Slackbot 1.0 (simulator)"}
            path = self._bot.path + request.path
            connection.request("POST", path, request.body, headers | request.headers | signature)
            if drop_connection:
                return Reply(entry["id"], failure=TIMEOUT)
            response = connection.getresponse()
            body = response.read(MAX_RESPONSE_BYTES)
            return Reply(
                entry["id"],
                response.status,
                body,
                {name.lower(): value for name, value in response.getheaders()},
            )
        except TimeoutError:
            return Reply(entry["id"], failure=TIMEOUT)
        except (OSError, http.client.HTTPException):
            return Reply(entry["id"], failure=UNREACHABLE)
        finally:
            connection.close()

    def _create_connection(self) -> http.client.HTTPConnection:
        kind = http.client.HTTPSConnection if self._bot.scheme == "https" else http.client.HTTPConnection
        return kind(self._bot.hostname or "", self._bot.port, timeout=TIMEOUT_SECONDS)
