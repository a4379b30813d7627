"""The routes of Kite, and the authentication of every request."""

import csv
import gzip
import io
import json
import secrets
import time
from collections import deque
from hashlib import sha256
from typing import Any
from urllib.parse import parse_qsl

from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp
from typing_extensions import override

from tests.brokers.standins.faults import Faults, RequestFault
from tests.brokers.standins.gateway import Gateway
from tests.brokers.standins.kite.charges import compute_charges
from tests.brokers.standins.kite.exchange import Exchange
from tests.brokers.standins.kite.values import KiteError, number

ORDERS_PER_SECOND = 10
USER_ID = "PAPER1"
_COLUMNS = (
    *("instrument_token", "exchange_token", "tradingsymbol", "name", "last_price", "expiry", "strike"),
    *("tick_size", "lot_size", "instrument_type", "segment", "exchange"),
)
_OPEN_PATHS = ("/session/token", "/instruments", "/connect/login")


class Sessions:
    """The API key, its secret and the tokens of log-ins. One access token is valid at a time."""

    def __init__(self, api_key: str, api_secret: str, access_token: str) -> None:
        self.api_key, self._api_secret = api_key, api_secret
        self._first = self.access_token = access_token
        self._request_tokens: set[str] = set()

    def create_request_token(self) -> str:
        """Return the request token of a person after login."""
        token = secrets.token_hex(16)
        self._request_tokens.add(token)
        return token

    def create(self, form: dict[str, str]) -> str:
        """Return the access token of a new session. Raises KiteError."""
        token = form.get("request_token", "")
        checksum = sha256(f"{self.api_key}{token}{self._api_secret}".encode()).hexdigest()
        if token not in self._request_tokens or form.get("checksum") != checksum:
            raise KiteError(403, "TokenException", "Token is invalid or has expired.")
        self._request_tokens.remove(token)
        self.access_token = secrets.token_hex(16)
        return self.access_token

    def expire(self) -> None:
        """End the session, as every morning."""
        self.access_token = secrets.token_hex(16)

    def clear(self) -> None:
        """Return to the first session."""
        self.access_token = self._first

    def is_admitted(self, api_key: str | None, access_token: str | None) -> bool:
        return (api_key, access_token) == (self.api_key, self.access_token)


class Rest:
    """The handlers."""

    def __init__(self, exchange: Exchange, sessions: Sessions) -> None:
        self._exchange, self._sessions = exchange, sessions
        self._sent: deque[float] = deque()

    def clear(self) -> None:
        """Forget when the last orders came: they count no more."""
        self._sent.clear()

    def build_routes(self) -> list[Route]:
        return [
            Route("/connect/login", self.show_login),
            Route("/session/token", self.create_session, methods=["POST"]),
            Route("/user/profile", self.get_profile),
            Route("/user/margins", self.get_margins),
            Route("/user/margins/equity", self.get_equity),
            Route("/orders", self.list_orders, methods=["GET"]),
            Route("/orders/regular", self.submit_order, methods=["POST"]),
            Route("/orders/regular/{order_id}", self.cancel_order, methods=["DELETE"]),
            Route("/orders/{order_id}", self.get_history),
            Route("/orders/{order_id}/trades", self.list_trades),
            Route("/trades", self.list_trades),
            Route("/portfolio/positions", self.list_positions),
            Route("/portfolio/holdings", self.list_holdings),
            Route("/instruments", self.dump),
            Route("/instruments/{exchange}", self.dump),
            Route("/charges/orders", self.get_charges, methods=["POST"]),
        ]

    async def show_login(self, _request: Request) -> Response:
        token = self._sessions.create_request_token()
        return HTMLResponse(f"<p>You are logged in. request_token: <code>{token}</code></p>")

    async def create_session(self, request: Request) -> Response:
        token = self._sessions.create(await read_form(request))
        session = {"user_id": USER_ID, "access_token": token, "login_time": "2026-11-27 08:30:00"}
        return build_response(
            {**session, "api_key": self._sessions.api_key, "public_token": "x", "refresh_token": ""}
        )

    async def get_profile(self, _request: Request) -> Response:
        return build_response(
            {"user_id": USER_ID, "user_type": "paper", "broker": "ZERODHA", "exchanges": ["NSE"]}
        )

    def _build_margins(self) -> dict[str, Any]:
        with self._exchange.lock:
            cash = number(self._exchange.cash)
        return {
            "enabled": True,
            "net": cash,
            "available": {"cash": cash, "live_balance": cash},
            "utilised": {},
        }

    async def get_margins(self, _request: Request) -> Response:
        return build_response({"equity": self._build_margins(), "commodity": {"enabled": False, "net": 0}})

    async def get_equity(self, _request: Request) -> Response:
        return build_response(self._build_margins())

    async def list_orders(self, _request: Request) -> Response:
        with self._exchange.lock:
            return build_response([order.serialize() for order in self._exchange.orders.values()])

    async def submit_order(self, request: Request) -> Response:
        self._count()
        return build_response({"order_id": self._exchange.submit(await read_form(request))})

    async def cancel_order(self, request: Request) -> Response:
        self._count()
        return build_response({"order_id": self._exchange.cancel(request.path_params["order_id"])})

    async def get_history(self, request: Request) -> Response:
        with self._exchange.lock:
            return build_response([self._exchange.get_order(request.path_params["order_id"]).serialize()])

    async def list_trades(self, request: Request) -> Response:
        order_id = request.path_params.get("order_id")
        with self._exchange.lock:
            trades = [trade for trade in self._exchange.trades if order_id in {None, trade.order.order_id}]
            return build_response([trade.serialize() for trade in trades])

    async def list_positions(self, _request: Request) -> Response:
        with self._exchange.lock:
            positions = [position.serialize() for position in self._exchange.positions.values()]
        return build_response({"net": positions, "day": positions})

    async def list_holdings(self, _request: Request) -> Response:
        with self._exchange.lock:
            return build_response([holding.serialize() for holding in self._exchange.holdings])

    async def dump(self, request: Request) -> Response:
        """Return the instruments as compressed CSV."""
        exchange = request.path_params.get("exchange")
        text = io.StringIO()
        rows = csv.writer(text)
        rows.writerow(_COLUMNS)
        for listing in self._exchange.listings.values():
            if exchange in {None, listing.exchange}:
                segment = "INDICES" if listing.kind == "INDEX" else listing.exchange
                kind = "EQ" if listing.kind == "INDEX" else listing.kind
                values = (
                    listing.token,
                    listing.token >> 8,
                    listing.symbol,
                    listing.name,
                    0,
                    "",
                    0,
                    listing.tick,
                    listing.lot,
                )
                rows.writerow((*values, kind, segment, listing.exchange))
        body = gzip.compress(text.getvalue().encode())
        return Response(body, media_type="text/csv", headers={"content-encoding": "gzip"})

    async def get_charges(self, request: Request) -> Response:
        return build_response([compute_charges(order) for order in json.loads(await request.body())])

    def _count(self) -> None:
        """Refuse more than ten orders and cancels a second."""
        moment = time.monotonic()
        while self._sent and self._sent[0] <= moment - 1:
            self._sent.popleft()
        if len(self._sent) >= ORDERS_PER_SECOND:
            raise KiteError(429, "NetworkException", "Too many requests")
        self._sent.append(moment)


class KiteGateway(Gateway):
    """The requests of Kite."""

    def __init__(self, app: ASGIApp, faults: Faults, sessions: Sessions) -> None:
        super().__init__(app, faults)
        self._sessions = sessions

    @override
    def find_refusal(self, headers: dict[str, str], path: str) -> Response | None:
        key, _, token = headers.get("authorization", "").removeprefix("token ").partition(":")
        if path.startswith(_OPEN_PATHS) or self._sessions.is_admitted(key, token):
            return None
        return build_error(403, "TokenException", "Incorrect `api_key` or `access_token`.")

    @override
    def build_fault_response(self, fault: RequestFault) -> Response:
        kind = "NetworkException" if fault.status in {429, 503, 504} else "GeneralException"
        return build_error(
            fault.status, kind, "Too many requests" if fault.status == 429 else "Gateway error"
        )


def build_response(body: Any) -> Response:
    return JSONResponse({"status": "success", "data": body})


def build_error(status: int, kind: str, message: str) -> Response:
    return JSONResponse({"status": "error", "message": message, "data": None, "error_type": kind}, status)


async def answer_refusal(_request: Request, error: Exception) -> Response:  # Starlette's interface
    """Answer a KiteError."""
    assert isinstance(error, KiteError)
    return build_error(error.status, error.kind, error.message)


async def read_form(request: Request) -> dict[str, str]:
    return dict(parse_qsl((await request.body()).decode()))
