"""Exchange the request token of a login for the session of a day."""

from typing import Any

from app.brokers.errors import BrokerUnavailable, LogInRefused
from app.brokers.remote.rest_client import RequestRefused
from app.brokers.rules.connections import ConnectionTerms
from app.brokers.zerodha.client import LABEL, KiteClient, KiteCredentials
from app.brokers.zerodha.factory import get_credentials
from app.brokers.zerodha.rules.sessions import build_checksum, build_login_address


class ZerodhaLogIn:
    """Implements `LogIn` for a connection."""

    def __init__(self, terms: ConnectionTerms) -> None:
        self._terms, self._credentials = terms, get_credentials(terms)

    @property
    def address(self) -> str:
        """The page where a person logs in."""
        return build_login_address(self._terms.base_url, self._credentials.api_key)

    def create_session(self, request_token: str) -> str:
        """Return the access token of a new session. Raises LogInRefused or BrokerUnavailable."""
        api_key, api_secret = self._credentials.api_key, self._credentials.api_secret
        client = KiteClient(self._terms.base_url, KiteCredentials(api_key, api_secret))
        form = {
            "api_key": api_key,
            "request_token": request_token,
            "checksum": build_checksum(api_key, request_token, api_secret),
        }
        try:
            return _get_token(client.post_session(form))
        except RequestRefused as refused:
            raise LogInRefused(refused.message) from None
        finally:
            client.close()


def _get_token(response: Any) -> str:
    token = response.get("access_token") if isinstance(response, dict) else None
    if not token:
        raise BrokerUnavailable(f"{LABEL} answered without a session.")
    return str(token)
