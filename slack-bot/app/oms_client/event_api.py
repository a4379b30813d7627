"""Register for the events of the OMS, and list them."""

from dataclasses import dataclass
from typing import Any

import httpx

from app.config import Settings, is_loopback
from app.errors import OmsError, UnreadableResponse
from app.oms_client.wire import parse_error

READ_TIMEOUT_SECONDS = 10.0
PAGE_ROWS = 1000
WEBHOOK_NAME = "slack-bot"
WEBHOOKS_PATH = "/api/v1/webhooks"
EVENTS_PATH = "/api/v1/events"
MAX_FILTER_CHARACTERS = 500


@dataclass(frozen=True)
class Registration:
    """The webhook of the bot. `secret` is empty if the OMS has shown it before."""

    id: str
    created_at: str
    secret: str


class EventApi:
    """Calls about events. They are made without a person, by a key with the scope `bot`."""

    def __init__(self, settings: Settings):
        self._http = httpx.Client(
            base_url=settings.oms_api_url,
            headers={"X-API-Key": settings.oms_api_key, "Accept": "application/json"},
            timeout=httpx.Timeout(READ_TIMEOUT_SECONDS),
            limits=httpx.Limits(max_connections=2, max_keepalive_connections=1),
            trust_env=not is_loopback(settings.oms_api_url),
        )

    def register(self, url: str, event_types: list[str]) -> Registration:
        """Create or update the webhook of the bot. Raises `OmsError`."""
        body = {"url": url, "event_types": event_types}
        return _parse_registration(self._send_request("PUT", f"{WEBHOOKS_PATH}/by-name/{WEBHOOK_NAME}", body))

    def rotate_secret(self, webhook_id: str) -> str:
        """Replace the secret of the webhook and return the new one. Raises `OmsError`."""
        return _parse_registration(
            self._send_request("POST", f"{WEBHOOKS_PATH}/{webhook_id}:rotate", {})
        ).secret

    def list_events(
        self, since: str, event_types: list[str], cursor: str = ""
    ) -> tuple[list[dict[str, Any]], str]:
        """Return a page of events recorded at `since` or later, newest first, and the next cursor.

        The cursor is empty after the last page. Raises `OmsError`.
        """
        params = {"from": since, "limit": str(PAGE_ROWS)} | ({"cursor": cursor} if cursor else {})
        types = ",".join(event_types)
        if "*" not in event_types and len(types) <= MAX_FILTER_CHARACTERS:
            params["type"] = types
        response = self._send_request("GET", EVENTS_PATH, params=params)
        rows = _parse_json(response)
        if not isinstance(rows, list):
            raise UnreadableResponse("The OMS returned a value that is not a list.")
        next_url = response.links.get("next", {}).get("url", "")
        return rows, httpx.URL(next_url).params.get("cursor", "") if next_url else ""

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def _send_request(
        self, method: str, path: str, body: object = None, params: dict[str, str] | None = None
    ) -> httpx.Response:
        try:
            response = self._http.request(method, path, json=body, params=params)
        except httpx.HTTPError as error:
            raise OmsError(f"No response: {type(error).__name__}.") from None
        if response.status_code not in (200, 201):
            raise parse_error(response.status_code, response.content, response.headers.get("Retry-After", ""))
        return response


def _parse_registration(response: httpx.Response) -> Registration:
    values = _parse_json(response)
    try:
        return Registration(
            str(values["id"]), str(values.get("created_at") or ""), str(values.get("secret") or "")
        )
    except (AttributeError, KeyError, TypeError):
        raise UnreadableResponse("The OMS returned a webhook that cannot be read.") from None


def _parse_json(response: httpx.Response) -> Any:
    try:
        return response.json()
    except ValueError:
        raise UnreadableResponse("The OMS returned a response that is not JSON.") from None
