"""A thin client of Alpaca's REST interface: exact numbers, bounded waits, and no doubt about what was sent.

A request that changes something is sent once. If its outcome is not known, the caller asks for the order by
our id, and never sends it again blindly.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import httpx

from app.brokers.alpaca.request_budget import LocalTokenBucket, Priority, RequestBudget
from app.brokers.errors import BrokerUnavailable, OutcomeOpen
from app.clock import monotonic_seconds

CONNECT_SECONDS, RESPONSE_SECONDS = 3.0, 10.0
PATIENCE_SECONDS = 15.0
MAX_CONNECTIONS = 8
MAX_RESPONSE_BYTES = 8 * 1024 * 1024
_MAX_MESSAGE_LENGTH = 500
_DEFAULT_RETRY_SECONDS = 3.0
_NOT_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol)
_QUERIES = frozenset({"GET"})
_TOO_MANY = 429
_UNAUTHORIZED = 401

Parameters = dict[str, str]
RequestObserver = Callable[[str, str, float], None]  # method, outcome and seconds of a request


@dataclass(frozen=True, slots=True)
class AlpacaCredentials:
    """The two parts of an API key. They are left out of the representation."""

    key_id: str = field(repr=False)
    secret_key: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds. `patience` limits how long a request waits for the rate limit, retries included."""

    connect: float = CONNECT_SECONDS
    response: float = RESPONSE_SECONDS
    patience: float = PATIENCE_SECONDS


class RequestRefused(Exception):
    """Alpaca refused a request. The message is Alpaca's text."""

    def __init__(self, status: int, code: int | None, message: str) -> None:
        super().__init__(message)
        self.status, self.code, self.message = status, code, message

    @property
    def is_not_found(self) -> bool:
        """Whether the order or position does not exist."""
        return self.status == 404

    @property
    def is_duplicate(self) -> bool:
        """Whether an order of the same client order id exists."""
        return "client_order_id must be unique" in self.message


class AlpacaClient:
    """Sends requests. Thread-safe."""

    def __init__(
        self,
        base_url: str,
        credentials: AlpacaCredentials,
        budget: RequestBudget | None = None,
        timeouts: Timeouts = Timeouts(),  # immutable
        observe: RequestObserver = lambda *_: None,
    ) -> None:
        self._observe = observe
        self.budget = budget or RequestBudget(LocalTokenBucket())
        self._timeouts = timeouts
        self._http = httpx.Client(
            base_url=base_url,
            headers={
                "APCA-API-KEY-ID": credentials.key_id,
                "APCA-API-SECRET-KEY": credentials.secret_key,
                "Accept": "application/json",
            },
            timeout=httpx.Timeout(timeouts.response, connect=timeouts.connect),
            limits=httpx.Limits(max_connections=MAX_CONNECTIONS, max_keepalive_connections=MAX_CONNECTIONS),
            follow_redirects=False,
            trust_env=False,
        )

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def get(self, path: str, parameters: Parameters | None = None) -> Any:
        """Return the JSON of a resource. Raise BrokerUnavailable or RequestRefused."""
        return self._request("GET", path, Priority.QUERY, parameters=parameters)

    def post(self, path: str, body: dict[str, str]) -> Any:
        """Create a resource. Raise BrokerUnavailable, OutcomeOpen or RequestRefused."""
        return self._request("POST", path, Priority.ORDER, body=body)

    def patch(self, path: str, body: dict[str, str]) -> Any:
        """Change a resource. Raise BrokerUnavailable, OutcomeOpen or RequestRefused."""
        return self._request("PATCH", path, Priority.ORDER, body=body)

    def delete(self, path: str) -> Any:
        """Delete a resource. Raise BrokerUnavailable, OutcomeOpen or RequestRefused."""
        return self._request("DELETE", path, Priority.CANCEL)

    def _request(
        self,
        method: str,
        path: str,
        priority: Priority,
        body: dict[str, str] | None = None,
        parameters: Parameters | None = None,
    ) -> Any:
        deadline = monotonic_seconds() + self._timeouts.patience
        while True:
            self.budget.take(priority, deadline - monotonic_seconds())
            response = self._send(method, path, body, parameters)
            if response.status_code != _TOO_MANY:
                return self._read(method, response)
            # 429 says that Alpaca did nothing, so the request may be sent again.
            self.budget.block(_parse_retry_after(response))

    def _send(
        self, method: str, path: str, body: dict[str, str] | None, parameters: Parameters | None
    ) -> httpx.Response:
        started, outcome = monotonic_seconds(), "failed"
        try:
            response = self._http.request(method, path, json=body, params=parameters)
            outcome = f"{response.status_code // 100}xx"
        except _NOT_SENT as error:
            raise BrokerUnavailable(f"Alpaca was not reached: {type(error).__name__}.") from None
        except httpx.HTTPError as error:
            raise _build_failure(method, type(error).__name__) from None
        finally:
            self._observe(method, outcome, monotonic_seconds() - started)
        left = response.headers.get("x-ratelimit-remaining", "")
        if left.isascii() and left.isdigit():
            self.budget.report_level(float(left))
        return response

    def _read(self, method: str, response: httpx.Response) -> Any:
        status = response.status_code
        if status >= 500:
            raise _build_failure(method, f"status {status}")
        if status == _UNAUTHORIZED or 300 <= status < 400:
            reason = "Check the credentials" if status == _UNAUTHORIZED else "Check the address"
            raise BrokerUnavailable(f"Alpaca answered {status} and did nothing. {reason}.")
        if len(response.content) > MAX_RESPONSE_BYTES:
            raise _build_failure(method, "a response that is too large")
        try:
            parsed = json.loads(response.content, parse_float=Decimal) if response.content else None
        except ValueError:
            raise _build_failure(method, "a response that is not JSON") from None
        if status >= 400:
            raise _build_refusal(status, parsed)
        return parsed


def _build_failure(method: str, what: str) -> Exception:
    """Return the error of a request that may have been carried out."""
    if method in _QUERIES:
        return BrokerUnavailable(f"Alpaca did not answer the query: {what}.")
    return OutcomeOpen(f"The outcome of the request is unknown: {what}.")


def _build_refusal(status: int, parsed: Any) -> RequestRefused:
    fields = parsed if isinstance(parsed, dict) else {}
    code = fields.get("code")
    message = str(fields.get("message") or f"Alpaca answered with status {status}.")
    return RequestRefused(status, code if isinstance(code, int) else None, message[:_MAX_MESSAGE_LENGTH])


def _parse_retry_after(response: httpx.Response) -> float:
    text = response.headers.get("retry-after", "")
    return float(text[:6]) if text.isascii() and text.isdigit() else _DEFAULT_RETRY_SECONDS
