"""A thin client of a broker's REST API: exact numbers, bounded waits and no blind repeats.

A request that changes something is sent once. If its outcome is not known, the caller reads the order by our
id, and never sends it again blindly.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import httpx

from app.brokers.errors import BrokerOutcomeUnknown, BrokerUnavailable
from app.brokers.remote.request_rate_limiter import Priority, RequestRateLimiter
from app.brokers.rules.order_reports import clean_reason
from app.clock import monotonic_seconds

CONNECT_TIMEOUT_SECONDS, READ_TIMEOUT_SECONDS = 3.0, 10.0
MAX_RATE_LIMIT_WAIT_SECONDS = 15.0
MAX_CONNECTIONS = 8
KEEP_ALIVE_SECONDS = 75.0  # orders are read once a minute, so a connection is open when an order is sent
MAX_RESPONSE_SECONDS = 60.0  # for a whole response, however slowly it arrives
MAX_RESPONSE_BYTES = 64 * 1024 * 1024  # the largest list of instruments has about 10 MB
TOO_MANY_REQUESTS, UNAUTHORIZED, NO_CONTENT = 429, 401, 204
_REQUEST_TIMEOUT = 408  # a proxy may have forwarded the request
_DEFAULT_RETRY_SECONDS, _MAX_RETRY_SECONDS = 3.0, 60.0
_NOT_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol)
_QUERIES = frozenset({"GET"})
_TOO_LARGE, _TOO_SLOW = "a response that is too large", "a response that took too long"

FormFields = dict[str, str]
RequestObserver = Callable[[str, str, float], None]  # method, outcome and seconds of a request


@dataclass(frozen=True, slots=True)
class RestTimeouts:
    """The limits of a request, in seconds.

    `response` limits each wait for a part of a response, `whole_response` the time until all of it has
    arrived, and `rate_limit_wait` the time that a request waits for the rate limit, retries included.
    """

    connect: float = CONNECT_TIMEOUT_SECONDS
    response: float = READ_TIMEOUT_SECONDS
    whole_response: float = MAX_RESPONSE_SECONDS
    rate_limit_wait: float = MAX_RATE_LIMIT_WAIT_SECONDS


@dataclass(frozen=True, slots=True)
class Request:
    """A request. It has a JSON body, or the fields of a form, or neither."""

    method: str
    path: str
    priority: Priority
    body: Any = None
    form: FormFields | None = None
    parameters: FormFields | None = None

    @property
    def is_query(self) -> bool:
        """Whether repeating it changes nothing. A POST that only computes has the priority QUERY."""
        return self.method in _QUERIES or self.priority is Priority.QUERY


class RequestRefused(Exception):
    """Raised when the broker refused a request.

    The message is the broker's text, `code` its kind of error.
    """

    def __init__(self, status: int, code: int | str | None, message: str) -> None:
        super().__init__(message)
        self.status, self.code, self.message = status, code, message

    @property
    def is_not_found(self) -> bool:
        """Whether the order or position does not exist."""
        return self.status == 404


class RestClient:
    """Sends requests to the broker `label`. Thread-safe. Adapters add the broker's paths and errors."""

    def __init__(
        self,
        label: str,
        base_url: str,
        headers: Mapping[str, str],
        rate_limiter: RequestRateLimiter,
        timeouts: RestTimeouts,
        query_rate_limiter: RequestRateLimiter | None = None,
    ) -> None:
        self.label, self.rate_limiter = label, rate_limiter
        self.observe: RequestObserver = lambda *_: None
        self._query_rate_limiter = query_rate_limiter or rate_limiter
        self._timeouts = timeouts
        self._http = httpx.Client(
            base_url=base_url,
            headers={"Accept": "application/json", **headers},
            timeout=httpx.Timeout(timeouts.response, connect=timeouts.connect),
            limits=httpx.Limits(
                max_connections=MAX_CONNECTIONS,
                max_keepalive_connections=MAX_CONNECTIONS,
                keepalive_expiry=KEEP_ALIVE_SECONDS,
            ),
            follow_redirects=False,
            trust_env=False,
        )

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def get(self, path: str, parameters: FormFields | None = None) -> Any:
        """Return the JSON of a resource. Raises BrokerUnavailable or RequestRefused."""
        return self.request(Request("GET", path, Priority.QUERY, parameters=parameters))

    def request(self, request: Request) -> Any:
        """Return the JSON of the response.

        Raises BrokerUnavailable, BrokerOutcomeUnknown or RequestRefused.
        """
        return self.parse(request, self.send(request))

    def send(self, request: Request) -> httpx.Response:
        """Return the response to a request, whatever its status except 429.

        Raises RateLimitExceeded, BrokerUnavailable or BrokerOutcomeUnknown.
        """
        deadline = monotonic_seconds() + self._timeouts.rate_limit_wait
        rate_limiter = self._query_rate_limiter if request.priority is Priority.QUERY else self.rate_limiter
        while True:
            rate_limiter.wait_for_token(request.priority, deadline - monotonic_seconds())
            response = self._send_once(request, rate_limiter)
            if response.status_code != TOO_MANY_REQUESTS:
                return response
            # 429 states that the broker did nothing, so the request may be sent again.
            rate_limiter.block(_parse_retry_after(response))

    def parse(self, request: Request, response: httpx.Response) -> Any:
        """Return the JSON of a response, or raise the error that it means."""
        status = response.status_code
        if status >= 500 or status == _REQUEST_TIMEOUT:
            raise self.build_failure(request, f"status {status}")
        if status == UNAUTHORIZED or 300 <= status < 400:
            reason = "Check the credentials" if status == UNAUTHORIZED else "Check the address"
            raise BrokerUnavailable(f"{self.label} answered {status} and did nothing. {reason}.")
        if request.is_query and not response.content and status != NO_CONTENT:
            raise self.build_failure(request, "an empty response")
        try:
            parsed = json.loads(response.content, parse_float=Decimal) if response.content else None
        except (ValueError, RecursionError):  # an array of a thousand arrays, for example
            raise self.build_failure(request, "a response that is not JSON") from None
        if status >= 400:
            raise self.build_refusal(request, status, parsed if isinstance(parsed, dict) else {})
        return parsed

    def build_failure(self, request: Request, description: str) -> Exception:
        """Return the error of a request without a usable response."""
        if request.is_query:
            return BrokerUnavailable(f"{self.label} did not answer the query: {description}.")
        return BrokerOutcomeUnknown(f"The outcome of the request is unknown: {description}.")

    def build_refusal(self, _request: Request, status: int, fields: Mapping[str, Any]) -> Exception:
        """Return the error of a request that the broker refused."""
        code = fields.get("code")
        message = get_message(fields, f"{self.label} answered with status {status}.")
        return RequestRefused(status, code if isinstance(code, int) else None, message)

    def _send_once(self, request: Request, rate_limiter: RequestRateLimiter) -> httpx.Response:
        started, outcome = monotonic_seconds(), "failed"
        try:
            response = self._exchange(request, started + self._timeouts.whole_response)
            outcome = f"{response.status_code // 100}xx"
        except _NOT_SENT as error:
            raise BrokerUnavailable(f"{self.label} was not reached: {type(error).__name__}.") from None
        except httpx.HTTPError as error:
            raise self.build_failure(request, type(error).__name__) from None
        finally:
            self.observe(request.method, outcome, monotonic_seconds() - started)
        remaining_requests = response.headers.get("x-ratelimit-remaining", "")[:6]
        if remaining_requests.isascii() and remaining_requests.isdigit():
            rate_limiter.report_level(float(remaining_requests))
        return response

    def _exchange(self, request: Request, deadline: float) -> httpx.Response:
        """Send a request and read its response, which must end before `deadline` and not be too large."""
        with self._http.stream(
            request.method, request.path, json=request.body, data=request.form, params=request.parameters
        ) as response:
            content = bytearray()
            for part in response.iter_bytes():
                content += part
                if len(content) > MAX_RESPONSE_BYTES:
                    raise self.build_failure(request, _TOO_LARGE)
                if monotonic_seconds() > deadline:
                    raise self.build_failure(request, _TOO_SLOW)
            headers = response.headers.copy()
            headers.pop("content-encoding", None)  # the parts were decoded
            return httpx.Response(response.status_code, headers=headers, content=bytes(content))


def get_message(fields: Mapping[str, Any], default: str) -> str:
    """Return the broker's text in a response, as it can be stored."""
    return clean_reason(fields.get("message") or None) or default


def _parse_retry_after(response: httpx.Response) -> float:
    text = response.headers.get("retry-after", "")
    seconds = float(text[:6]) if text.isascii() and text.isdigit() else _DEFAULT_RETRY_SECONDS
    return min(seconds, _MAX_RETRY_SECONDS)
