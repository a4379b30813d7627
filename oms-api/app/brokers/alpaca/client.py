"""Alpaca's REST interface."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from app.brokers.remote.request_rate_limiter import LocalTokenBucket, Priority, RequestRateLimiter
from app.brokers.remote.rest_client import Request, RequestRefused, RestClient, RestTimeouts

LABEL = "Alpaca"


@dataclass(frozen=True, slots=True)
class AlpacaCredentials:
    """The two parts of an API key. They are left out of the representation."""

    key_id: str = field(repr=False)
    secret_key: str = field(repr=False)


def is_duplicate_order(error: RequestRefused) -> bool:
    """Return whether an order of the same client order id exists."""
    return "client_order_id must be unique" in error.message


class AlpacaClient(RestClient):
    """Sends requests to Alpaca. Thread-safe."""

    def __init__(
        self,
        base_url: str,
        credentials: AlpacaCredentials,
        rate_limiter: RequestRateLimiter | None = None,
        timeouts: RestTimeouts = RestTimeouts(),  # noqa: B008  # immutable
    ) -> None:
        headers = {
            "APCA-API-KEY-ID": credentials.key_id,
            "APCA-API-SECRET-KEY": credentials.secret_key,
        }
        rate_limiter = rate_limiter or RequestRateLimiter(LocalTokenBucket(), label=LABEL)
        super().__init__(LABEL, base_url, headers, rate_limiter, timeouts)

    def post(self, path: str, body: Mapping[str, Any]) -> Any:
        """Create a resource. Raises BrokerUnavailable, BrokerOutcomeUnknown or RequestRefused."""
        return self.request(Request("POST", path, Priority.ORDER, body))

    def patch(self, path: str, body: Mapping[str, Any]) -> Any:
        """Change a resource. Raises BrokerUnavailable, BrokerOutcomeUnknown or RequestRefused."""
        return self.request(Request("PATCH", path, Priority.ORDER, body))

    def delete(self, path: str) -> Any:
        """Delete a resource. Raises BrokerUnavailable, BrokerOutcomeUnknown or RequestRefused."""
        return self.request(Request("DELETE", path, Priority.CANCEL))
