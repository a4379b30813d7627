"""Kite's REST interface. Requests are forms, responses are JSON in an envelope."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx
from typing_extensions import override

from app.brokers.errors import BrokerOutcomeUnknown, SessionNeeded
from app.brokers.remote.request_rate_limiter import LocalTokenBucket, Priority, RequestRateLimiter
from app.brokers.remote.rest_client import (
    FormFields,
    Request,
    RequestRefused,
    RestClient,
    RestTimeouts,
    get_message,
)
from app.brokers.rules.order_reports import parse_order_number
from app.brokers.zerodha.rules.sessions import VERSION

LABEL = "Zerodha"
# Kite takes 10 orders and cancels a second, and 10 queries. 2 at once and 8 a second are never more.
BURST, BURST_SECONDS = 2, 0.25
_FORBIDDEN = 403
_TOKEN = "TokenException"  # noqa: S105  # the name of an error
# Kite answers so if its order management was slow. The order may exist.
_DOUBTS = ("timed out", "check the order book", "check the orderbook")


@dataclass(frozen=True, slots=True)
class KiteCredentials:
    """An API key, its secret, and the token of today's session. They are left out of the representation."""

    api_key: str = field(repr=False)
    api_secret: str = field(repr=False)
    access_token: str | None = field(default=None, repr=False)


class KiteClient(RestClient):
    """Sends requests to Kite. Thread-safe."""

    def __init__(
        self,
        base_url: str,
        credentials: KiteCredentials,
        rate_limiter: RequestRateLimiter | None = None,
        timeouts: RestTimeouts = RestTimeouts(),  # noqa: B008  # immutable
        query_rate_limiter: RequestRateLimiter | None = None,
    ) -> None:
        self._has_session = credentials.access_token is not None
        headers = {"X-Kite-Version": VERSION}
        if self._has_session:
            headers["Authorization"] = f"token {credentials.api_key}:{credentials.access_token}"
        rate_limiters = (
            rate_limiter or _create_rate_limiter(),
            query_rate_limiter or _create_rate_limiter(),
        )
        super().__init__(LABEL, base_url, headers, rate_limiters[0], timeouts, rate_limiters[1])

    def post_order(self, form: FormFields) -> str:
        """Send an order and return Kite's id.

        Raises BrokerUnavailable, BrokerOutcomeUnknown or RequestRefused.
        """
        return self._get_order_id(Request("POST", "/orders/regular", Priority.ORDER, form=form))

    def cancel_order(self, broker_id: str) -> None:
        """Request a cancel. Raises BrokerUnavailable, BrokerOutcomeUnknown or RequestRefused."""
        self.request(Request("DELETE", f"/orders/regular/{broker_id}", Priority.CANCEL))

    def post_query(self, path: str, body: Any) -> Any:
        """Return the result that Kite computes. Raises BrokerUnavailable or RequestRefused."""
        return self.request(Request("POST", path, Priority.QUERY, body))

    def post_session(self, form: FormFields) -> Any:
        """Return a new session. Raises BrokerUnavailable or RequestRefused."""
        request = Request("POST", "/session/token", Priority.QUERY, form=form)
        return self.parse(request, self.send(request))

    def get_text(self, path: str) -> str:
        """Return a resource that is not JSON, and that needs no session."""
        request = Request("GET", path, Priority.QUERY)
        response = self.send(request)
        if response.status_code != httpx.codes.OK:
            raise self.build_failure(request, f"status {response.status_code}")
        return response.text

    @override
    def request(self, request: Request) -> Any:
        if not self._has_session:
            raise SessionNeeded(LABEL)
        return super().request(request)

    @override
    def parse(self, request: Request, response: httpx.Response) -> Any:
        """Return the data in Kite's envelope, or raise the error that the response means."""
        parsed = super().parse(request, response)
        if not isinstance(parsed, dict) or "data" not in parsed or parsed.get("status") == "error":
            raise self.build_failure(request, "an answer without data")
        return parsed["data"]

    @override
    def build_refusal(self, request: Request, status: int, fields: Mapping[str, Any]) -> Exception:
        kind = str(fields.get("error_type") or "")
        message = get_message(fields, f"{LABEL} answered with status {status}.")
        if status == _FORBIDDEN and kind == _TOKEN and self._has_session:
            return SessionNeeded(LABEL)
        if not request.is_query and any(doubt in message.lower() for doubt in _DOUBTS):
            return BrokerOutcomeUnknown(f"The outcome of the request is unknown: {message}")
        return RequestRefused(status, kind, message)

    def _get_order_id(self, request: Request) -> str:
        response = self.request(request)
        try:
            return parse_order_number(response["order_id"])
        except (KeyError, ValueError, TypeError):
            raise BrokerOutcomeUnknown("Kite's answer has no order id.") from None


def _create_rate_limiter() -> RequestRateLimiter:
    return RequestRateLimiter(LocalTokenBucket(BURST, window_seconds=BURST_SECONDS), label=LABEL)
