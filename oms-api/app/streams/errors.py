"""Codes with which a WebSocket is closed, and errors of messages."""

from enum import IntEnum


class CloseCode(IntEnum):
    """The reason why the service closes a connection. Codes from 4000 on are the application's (RFC 6455)."""

    UNAVAILABLE = 1013
    UNAUTHENTICATED = 4001
    TOO_SLOW = 4008
    TOO_MANY = 4029


class StreamClosed(Exception):
    """Raised when the connection must be closed."""

    def __init__(self, code: CloseCode, reason: str) -> None:
        super().__init__(reason)
        self.code, self.reason = code, reason


class MessageRefused(Exception):
    """Raised when a message of a client is refused. The connection stays open. `code` is stable."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code, self.detail = code, detail
