"""The daily login at Kite: its checksum and its addresses."""

import hashlib
from urllib.parse import urlencode

LIVE_ADDRESS = "https://api.kite.trade"
_LIVE_LOGIN = "https://kite.zerodha.com/connect/login"
_LIVE_STREAM = "wss://ws.kite.trade"
VERSION = "3"


def build_checksum(api_key: str, request_token: str, api_secret: str) -> str:
    """Return what proves that the holder of the secret asks for a session."""
    return hashlib.sha256(f"{api_key}{request_token}{api_secret}".encode()).hexdigest()


def build_login_address(base_url: str, api_key: str) -> str:
    """Return the page where a person logs in. A stand-in has it at its own address."""
    page = _LIVE_LOGIN if base_url.rstrip("/") == LIVE_ADDRESS else f"{base_url.rstrip('/')}/connect/login"
    return f"{page}?{urlencode({'v': VERSION, 'api_key': api_key})}"


def build_stream_address(base_url: str, api_key: str, access_token: str) -> str:
    """Return the address of the ticker socket. It has the token in its query, and must not be logged."""
    base = base_url.rstrip("/")
    root = _LIVE_STREAM if base == LIVE_ADDRESS else base.replace("http", "ws", 1) + "/"
    return f"{root}?{urlencode({'api_key': api_key, 'access_token': access_token})}"
