"""Call the OMS. Each failure states whether a trade may have been recorded."""

import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any
from urllib.parse import quote

from app.config import Settings
from app.errors import DenialReason, NotPlaced, OmsError, OmsForbidden, OutcomeUnknown, UnreadableResponse
from app.forms.day_change import DayBar
from app.forms.instruments import Instrument
from app.forms.price import Quote
from app.forms.ticket import Holding, Ticket, Trade
from app.oms_client.connections import Connections, HttpError, HttpResponse, RequestNotSent
from app.oms_client.person import Person
from app.oms_client.statement import get_key_id, sign_statement
from app.oms_client.trace_context import build_traceparent
from app.oms_client.wire import (
    has_trade_scope,
    parse_day_bars,
    parse_error,
    parse_first_trade,
    parse_holding,
    parse_instruments,
    parse_next_cursor,
    parse_own_trades,
    parse_placed_trade,
    parse_quote,
    parse_refusal,
    serialize_ticket,
)

WRITE_SECONDS = 16.0  # the OMS responds to a write within 15
READ_SECONDS = 2.0
DOWNLOAD_SECONDS = 15.0  # between two pieces of a file
CONNECT_SECONDS = 1.0
CLAIM_PATH = "/api/v1/workspaces:claim"
SLACK_STATUS_PATH = "/api/v1/slack-status"
ON_BEHALF_OF = "X-On-Behalf-Of"


@dataclass(frozen=True)
class PlaceResult:
    """A recorded trade. `is_repeat` is true if an earlier request with the same key recorded it."""

    trade: Trade
    is_repeat: bool


class OmsClient:
    """Call the OMS over one connection pool for all threads. Each call names the person it is made for."""

    def __init__(
        self,
        settings: Settings,
        *,
        write_seconds: float = WRITE_SECONDS,
        read_seconds: float = READ_SECONDS,
        get_team: Callable[[], str] | None = None,
    ):
        """Connect to the OMS. `get_team` returns the workspace for whose people the key may act."""
        self._get_team = get_team
        self._key_id = get_key_id(settings.oms_api_key)
        self._statement_secret = settings.bot_statement_secret
        self._write_seconds = write_seconds
        self._read_seconds = read_seconds
        self._http = Connections(
            settings.oms_api_url,
            {"X-API-Key": settings.oms_api_key, "Accept": "application/json"},
            min(CONNECT_SECONDS, read_seconds, write_seconds),
        )

    def place(self, person: Person, ticket: Ticket, *, key: str, request_id: str) -> PlaceResult:
        """Record a trade of this person at most once per `key`.

        Raises `NotPlaced`, `OutcomeUnknown`, `OmsRejected`, `IdempotencyKeyTaken` or `OmsForbidden`.
        """
        body = serialize_ticket(ticket, person.user)
        response = self.write(person, "POST", "/api/v1/trade", body, key=key, request_id=request_id)
        return PlaceResult(
            parse_placed_trade(response.content),
            response.headers.get("Idempotent-Replayed", "").lower() == "true",
        )

    def find_trade(self, person: Person, key: str, *, symbol: str = "", request_id: str) -> Trade | None:
        """Return the trade recorded under an idempotency key, None if there is none.

        With `symbol`, return only a trade of the instrument with this symbol or alias.
        """
        parameters = {"idempotency_key": key, "limit": "1"} | ({"symbol": symbol} if symbol else {})
        return parse_first_trade(self.read(person, "/api/v1/trades", parameters, request_id))

    def find_last_price(self, person: Person, symbol: str, *, request_id: str) -> Decimal | None:
        """Return the price per share of the symbol's latest trade. None if the person sees no trade of it."""
        trades = self.read(person, "/api/v1/trades", {"symbol": symbol, "limit": "1"}, request_id)
        trade = parse_first_trade(trades)
        return trade.price if trade else None

    def find_quote(self, person: Person, symbol: str, *, request_id: str) -> Quote | None:
        """Return the symbol's newest quote, None if there is none."""
        headers = self._build_headers(person, request_id)
        try:
            path = f"/api/v1/quotes/{quote(symbol, safe='')}"
            response = self._http.request("GET", path, seconds=self._read_seconds, headers=headers)
        except HttpError as error:
            raise OmsError(f"No response: {error}.") from None
        if refusal := parse_refusal(
            response.status_code, response.content, response.headers.get("Retry-After", "")
        ):
            raise refusal
        return parse_quote(response.content) if response.status_code == 200 else None

    def find_portfolio(self, person: Person, name: str, *, request_id: str) -> str | None:
        """Return the stored name of a portfolio. None if the person sees no such portfolio."""
        portfolio_row = self.read(
            person, f"/api/v1/portfolio/{quote(name, safe='')}", {}, request_id, absent=None
        )
        portfolio_name = portfolio_row.get("portfolio_name") if isinstance(portfolio_row, dict) else None
        return portfolio_name if isinstance(portfolio_name, str) else None

    def get_holding(self, person: Person, portfolio: str, symbol: str, *, request_id: str) -> Holding:
        """Return the position of a portfolio in a symbol. It is empty if either is unknown."""
        path = f"/api/v1/positions/{quote(portfolio, safe='')}/{quote(symbol, safe='')}"
        quote_row = self.read(person, path, {}, request_id, absent=None)
        try:
            return Holding() if quote_row is None else parse_holding(quote_row)
        except (KeyError, TypeError, ValueError):
            raise UnreadableResponse("The OMS returned a position that cannot be read.") from None

    def list_own_trades(
        self, person: Person, ticket: Ticket, *, since: datetime, request_id: str
    ) -> list[Trade]:
        """Return the person's trades like the ticket since then, newest first.

        They have the ticket's symbol, side and portfolio.
        """
        parameters = {"portfolio": ticket.portfolio, "symbol": ticket.symbol, "side": ticket.side.value}
        moment = since.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        rows = self.read(person, "/api/v1/trades", parameters | {"from": moment, "limit": "100"}, request_id)
        return parse_own_trades(rows, person.actor)

    def is_listed(self, person: Person, symbol: str, *, request_id: str) -> bool:
        """Return whether the symbol is a listed instrument."""
        body = self.read(person, f"/api/v1/instruments/{quote(symbol, safe='')}", {}, request_id, absent=None)
        return isinstance(body, dict) and body.get("listed") is True

    def list_instruments(self, person: Person, part: str, *, limit: int, request_id: str) -> list[Instrument]:
        """Return listed instruments whose symbol or name contains the text, sorted by symbol."""
        parameters = {"limit": str(limit)} | ({"q": part} if part else {})
        rows = self.read(person, "/api/v1/instruments", parameters, request_id)
        return parse_instruments(rows)

    def list_day_bars(self, person: Person, symbol: str, *, request_id: str) -> list[DayBar]:
        """Return the prices of the newest two days with prices, the newest day first."""
        path = f"/api/v1/bars/{quote(symbol, safe='')}"
        rows = self.read(person, path, {"interval": "1d", "limit": "2"}, request_id, absent=[])
        return parse_day_bars(rows)

    def list_portfolios(self, person: Person, query: str, *, limit: int, request_id: str) -> list[str]:
        """Return the names of portfolios that the person may see and that match the query."""
        parameters = {"limit": str(limit)} | ({"q": query} if query else {})
        names = self.read(person, "/api/v1/portfolios", parameters, request_id)
        if not isinstance(names, list):
            raise UnreadableResponse("The OMS returned a value that is not a list.")
        return [name for name in names if isinstance(name, str)]

    def can_trade(self, person: Person, *, request_id: str) -> bool:
        """Return whether the person's role includes trading.

        Raises `OmsForbidden` if the person has no access.
        """
        return has_trade_scope(self.read(person, "/api/v1/auth/me", {}, request_id))

    @property
    def can_claim_workspace(self) -> bool:
        """Whether the bot has a secret for statements."""
        return bool(self._statement_secret)

    def claim_workspace(self, team_id: str) -> None:
        """Claim the workspace of the bot token for the tenant of the API key. Raises `OmsError`."""
        now, nonce = int(time.time()), secrets.token_hex(16)
        key_id, secret = self._key_id, self._statement_secret
        statement = sign_statement(team_id, key_id, secret, issued_at=now, nonce=nonce)
        self.call_as_bot("POST", CLAIM_PATH, {"team_id": team_id, "statement": statement})

    def call_as_bot(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> HttpResponse:
        """Make a call without a person, which the bot's own key allows. Raises `OmsError`."""
        try:
            response = self._http.request(method, path, seconds=self._read_seconds, body=body)
        except HttpError as error:
            raise OmsError(f"No response: {error}.") from None
        if response.status_code not in (200, 201):
            raise parse_error(response.status_code, response.content, response.headers.get("Retry-After", ""))
        return response

    def set_slack_status(self, person: Person, status: str) -> None:
        """Report that Slack has deactivated a person, or that the person is active. Raises `OmsError`."""
        self.call_as_bot("PUT", SLACK_STATUS_PATH, {"person": person.actor, "status": status})

    def is_ready(self) -> bool:
        """Return whether the OMS is ready. This call is made without a person."""
        try:
            response = self._http.request("GET", "/health/ready", seconds=self._read_seconds)
        except HttpError:
            return False
        return response.status_code == 200

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def write(
        self, person: Person, method: str, path: str, body: Mapping[str, Any], *, key: str, request_id: str
    ) -> HttpResponse:
        """Send a change of this person once. Return the response if it has the status 200, 201, 202 or 204.

        Raises `NotPlaced`, `OutcomeUnknown`, `OmsRejected`, `IdempotencyKeyTaken` or `OmsForbidden`.
        """
        headers = self._build_headers(person, request_id) | ({"Idempotency-Key": key} if key else {})
        try:
            response = self._http.request(
                method, path, seconds=self._write_seconds, headers=headers, body=body
            )
        except RequestNotSent:
            raise NotPlaced("The trading system cannot be reached.") from None
        except HttpError as error:
            raise OutcomeUnknown(f"Sent, and then {error}.") from None
        if response.status_code not in (200, 201, 202, 204):
            raise parse_error(response.status_code, response.content, response.headers.get("Retry-After", ""))
        return response

    def read(
        self, person: Person, path: str, params: Mapping[str, str], request_id: str, **absent: Any
    ) -> Any:
        """Return the JSON of the response. If `absent` is given, return it for 404 and 422."""
        return self._read_json(self._build_headers(person, request_id), path, params, **absent)

    def read_as_bot(self, path: str, params: Mapping[str, str], request_id: str, **absent: Any) -> Any:
        """Like `read`, without a person: the bot's own key must allow the call."""
        return self._read_json(_build_trace_headers(request_id), path, params, **absent)

    def _read_json(
        self, headers: Mapping[str, str], path: str, params: Mapping[str, str], **absent: Any
    ) -> Any:
        response = self._send_read(headers, path, params)
        if absent and response.status_code in (404, 422):
            return absent["absent"]
        return _parse_json(response)

    def read_page(
        self, person: Person, path: str, params: Mapping[str, str], request_id: str
    ) -> tuple[Any, str]:
        """Return the JSON of a page, and the cursor of the next one, empty after the last."""
        response = self._send_read(self._build_headers(person, request_id), path, params)
        return _parse_json(response), parse_next_cursor(response.headers.get("Link", ""))

    def download(
        self, person: Person, path: str, params: Mapping[str, str], *, max_bytes: int, request_id: str
    ) -> bytes | None:
        """Return a file, in CSV unless `params` say otherwise, or None if it is larger than `max_bytes`.

        Raises `OmsError`.
        """
        return self._download_file(self._build_headers(person, request_id), path, params, max_bytes)

    def download_as_bot(
        self, path: str, params: Mapping[str, str], *, max_bytes: int, request_id: str
    ) -> bytes | None:
        """Like `download`, without a person: the bot's own key must allow the call."""
        return self._download_file(_build_trace_headers(request_id), path, params, max_bytes)

    def _download_file(
        self, headers: Mapping[str, str], path: str, params: Mapping[str, str], max_bytes: int
    ) -> bytes | None:
        headers = {**headers, "Accept": "text/csv"}
        try:
            response = self._http.download(path, params, headers, seconds=DOWNLOAD_SECONDS, limit=max_bytes)
        except HttpError as error:
            raise OmsError(f"No complete response: {error}.") from None
        if response is not None and response.status_code != 200:
            raise parse_error(response.status_code, response.content, response.headers.get("Retry-After", ""))
        return response.content if response else None

    def _send_read(self, headers: Mapping[str, str], path: str, params: Mapping[str, str]) -> HttpResponse:
        """Return the response to a read, unless the OMS refused the caller."""
        try:
            response = self._http.request(
                "GET", path, seconds=self._read_seconds, params=params, headers=headers
            )
        except HttpError as error:
            raise OmsError(f"No response: {error}.") from None
        wait = response.headers.get("Retry-After", "")
        if refusal := parse_refusal(response.status_code, response.content, wait):
            raise refusal
        return response

    def _build_headers(self, person: Person, request_id: str) -> dict[str, str]:
        if self._get_team is not None and person.team != self._get_team():
            raise OmsForbidden(DenialReason.WORKSPACE)
        return {**_build_trace_headers(request_id), ON_BEHALF_OF: person.actor}


def _build_trace_headers(request_id: str) -> dict[str, str]:
    return {"X-Request-ID": request_id, "traceparent": build_traceparent(request_id)}


def _parse_json(response: HttpResponse) -> Any:
    if response.status_code != 200:
        raise OmsError(f"The OMS responded with {response.status_code}.")
    try:
        return response.json()
    except ValueError:
        raise UnreadableResponse("The OMS returned a response that is not JSON.") from None
