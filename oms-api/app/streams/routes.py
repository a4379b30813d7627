"""The route of the WebSocket."""

import asyncio
import logging
from contextlib import suppress
from functools import partial

from fastapi import APIRouter, WebSocket, WebSocketDisconnect

from app.clock import monotonic_seconds
from app.errors import OmsError, TooMany, Unavailable
from app.http.app_state import get_request_info
from app.http.direct_routes import RequestInfo
from app.identity.dependencies.authentication import AUTHENTICATION, Authentication, get_rate_limit_key
from app.identity.rules.access import Caller, Operation
from app.streams.dependencies import STREAMS
from app.streams.errors import CloseCode, MessageRefused, StreamClosed
from app.streams.rules.messages import Authenticate, is_origin_allowed, parse_message
from app.streams.service.hub import StreamHub
from app.streams.service.session import Rights, StreamSession

router = APIRouter()

AUTHENTICATION_SECONDS = 5.0
CLOSE_SECONDS = 30.0  # in which a slow client may read why it is closed
MAX_REASON_LENGTH = 120
_CREDENTIAL_HEADERS = (b"x-api-key", b"authorization", b"x-on-behalf-of")
_FIRST_MESSAGE_REASON = 'Send {"action":"auth","key":…} or "token" first, within 5 seconds.'
_LOG = logging.getLogger(__name__)


class WebSocketConnection:
    """A connection of the framework as the `Socket` of a session."""

    def __init__(self, websocket: WebSocket) -> None:
        self._websocket = websocket

    async def receive(self) -> str | None:
        """Return the next message: "" if it is not text, and None after the end."""
        message = await self._websocket.receive()
        return None if message["type"] == "websocket.disconnect" else message.get("text") or ""

    async def send(self, text: str) -> None:
        """Send a frame, once there is room for it. Raises ConnectionError."""
        try:
            await self._websocket.send({"type": "websocket.send", "text": text})
        except (WebSocketDisconnect, RuntimeError):
            raise ConnectionError from None

    async def close(self, closed: StreamClosed) -> None:
        """Close the connection, once the client has read what was sent before."""
        with suppress(TimeoutError, WebSocketDisconnect, RuntimeError):
            async with asyncio.timeout(CLOSE_SECONDS):
                await self._websocket.close(closed.code, closed.reason[:MAX_REASON_LENGTH])


@router.websocket("/ws")
async def open_websocket(websocket: WebSocket) -> None:
    """Stream events, quotes and P&L to an authenticated client; see docs/websocket.md."""
    hub, request = STREAMS.get(websocket), get_request_info(websocket)
    origin, host = (websocket.headers.get(name) for name in ("origin", "host"))
    if not is_origin_allowed(origin, host, hub.origins):
        await websocket.close()  # before it is accepted: 403
        return
    await websocket.accept()
    connection, started = WebSocketConnection(websocket), monotonic_seconds()
    close_reason: StreamClosed | None = None
    try:
        await _serve_connection(connection, hub, AUTHENTICATION.get(websocket), request)
    except StreamClosed as error:
        close_reason = error
    except ConnectionError:
        pass  # the client is gone
    fields = {
        "code": None if close_reason is None else int(close_reason.code),
        "caller": request.caller,
        "request_id": request.request_id,
        "seconds": round(monotonic_seconds() - started, 3),
    }
    _LOG.info("a WebSocket ended: %s", close_reason or "the client left", extra=fields)
    if close_reason is not None:
        await connection.close(close_reason)


async def _serve_connection(
    connection: WebSocketConnection, hub: StreamHub, authentication: Authentication, request: RequestInfo
) -> None:
    try:
        release = hub.unauthenticated.take(0, request.address)
        try:
            authenticated = await _read_credentials(connection, request)
            caller = await authentication.authenticate(authenticated, Operation.READ_EVENTS)
        finally:
            release()
        request.caller = authenticated.caller
        release = hub.connections.take(caller.tenant_id, get_rate_limit_key(caller))
    except Unavailable as error:
        raise StreamClosed(CloseCode.UNAVAILABLE, error.detail) from None
    except TooMany as error:
        raise StreamClosed(CloseCode.TOO_MANY, error.detail) from None
    except OmsError as error:
        raise StreamClosed(CloseCode.UNAUTHENTICATED, error.detail) from None
    try:
        await StreamSession(
            connection, Rights(caller, partial(_find_caller, authentication, authenticated)), hub.fanouts
        ).serve()
    finally:
        release()


async def _find_caller(authentication: Authentication, request: RequestInfo) -> Caller | None:
    return await authentication.find_caller(request, Operation.READ_EVENTS)


async def _read_credentials(connection: WebSocketConnection, request: RequestInfo) -> RequestInfo:
    """Return the request with credentials: those of the handshake, or else those of the first message."""
    headers = {name: request.headers[name] for name in _CREDENTIAL_HEADERS if name in request.headers}
    if not headers:
        headers = await _read_first_message(connection)
    return RequestInfo(headers, b"", request.path, request.request_id, address=request.address)


async def _read_first_message(connection: WebSocketConnection) -> dict[bytes, bytes]:
    try:
        async with asyncio.timeout(AUTHENTICATION_SECONDS):
            text = await connection.receive()
        if text is None:
            raise ConnectionError
        message = parse_message(text)
    except (TimeoutError, MessageRefused):
        raise StreamClosed(CloseCode.UNAUTHENTICATED, _FIRST_MESSAGE_REASON) from None
    if not isinstance(message, Authenticate):
        raise StreamClosed(CloseCode.UNAUTHENTICATED, _FIRST_MESSAGE_REASON)
    token = None if message.token is None else f"Bearer {message.token}"
    values = zip(_CREDENTIAL_HEADERS, (message.key, token, message.on_behalf_of), strict=True)
    return {name: value.encode() for name, value in values if value is not None}
