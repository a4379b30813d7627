"""The daily login of a person at a broker. The token is encrypted with the connection's credentials."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from app.brokers import queries
from app.brokers.errors import BrokerUnavailable, LogInFailed, NoLogIn
from app.brokers.protocol import LogIn
from app.brokers.queries import StoredConnection
from app.brokers.rules.connections import AddressPolicy, BrokerName, ConnectionTerms, find_address_problem
from app.brokers.rules.sessions import compute_session_expiry
from app.brokers.service.connections import get_connection
from app.brokers.service.credentials import CredentialsUnreadable, build_connection_terms, encrypt_credentials
from app.encryption import EncryptionKeys
from app.identity.service.change_executor import ChangeRequest, ChangeResult
from app.timestamps import format_timestamp

LogInFactories = dict[str, Callable[[ConnectionTerms], LogIn]]
ACCESS_TOKEN = "access_token"  # noqa: S105  # the name of a field


class BrokerLogIns:
    """Creates sessions at brokers that need a login."""

    def __init__(self, keys: EncryptionKeys, policy: AddressPolicy, log_ins: LogInFactories) -> None:
        self._keys, self._policy, self._log_ins = keys, policy, log_ins

    def open_log_in(self, stored: StoredConnection) -> LogIn:
        """Return the login of a connection. It sends nothing yet. Raises NoLogIn."""
        create = self._log_ins.get(stored.broker)
        if create is None:
            raise NoLogIn(f"{stored.broker} keeps its sessions.")
        broker = BrokerName(stored.broker)
        problem = find_address_problem(broker, stored.base_url, is_live=stored.is_live, policy=self._policy)
        if problem is not None:
            raise NoLogIn(f"base_url: {problem}")
        try:
            return create(build_connection_terms(self._keys, stored))
        except CredentialsUnreadable as error:
            raise NoLogIn(str(error)) from None

    def fetch_token(self, stored: StoredConnection, request_token: str) -> str:
        """Return the access token of a new session. It calls the broker, so run it outside transactions."""
        if stored.is_live and stored.live_enabled_by is None:
            raise NoLogIn("Live trading is not enabled: a second person must enable it.")
        try:
            return self.open_log_in(stored).create_session(request_token)
        except BrokerUnavailable:
            raise LogInFailed from None

    def store(
        self, connection: Connection, request: ChangeRequest, name: str, token: str, now: datetime
    ) -> ChangeResult:
        """Store the token of a session, with which the connection then connects again."""
        stored = get_connection(connection, request.caller.tenant_id, name, locks=True)
        expires_at = compute_session_expiry(now)
        values: dict[str, Any] = {
            "credentials": self._add_token(stored, token), "session_expires_at": expires_at, "error": None,
        }  # fmt: skip
        queries.update_connection(connection, stored, values)
        target, after = f"broker_connection:{name}", {"session_expires_at": format_timestamp(expires_at)}
        entry = request.build_audit_entry(now, "broker_connection.logged_in", target, None, after)
        return ChangeResult({"expires_at": format_timestamp(expires_at)}, [entry])

    def _add_token(self, stored: StoredConnection, token: str) -> str:
        try:
            credentials = build_connection_terms(self._keys, stored).credentials
        except CredentialsUnreadable as error:
            raise NoLogIn(str(error)) from None
        return encrypt_credentials(
            self._keys, stored.tenant_id, stored.id, {**credentials, ACCESS_TOKEN: token}
        )
