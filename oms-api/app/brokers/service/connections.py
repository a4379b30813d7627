"""Create, change, enable and delete connections to brokers. Credentials are never returned."""

import secrets
from collections.abc import Callable, Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Any

from sqlalchemy import Connection

from app.audit.rules.entries import AuditValues
from app.brokers import queries
from app.brokers.errors import (
    ConnectionExists,
    ConnectionInUse,
    ConnectionNotValid,
    LimitsNeeded,
    NoSuchConnection,
    NotLive,
    SecondPersonNeeded,
    TooManyConnections,
)
from app.brokers.queries import CONNECTIONS, StoredConnection
from app.brokers.rules.connections import (
    AddressPolicy,
    BrokerName,
    ConnectionStatus,
    NewConnection,
    find_address_problem,
    find_credentials_problem,
    find_gateway_owner_problem,
    get_default_address,
    normalize_address,
    parse_people,
)
from app.brokers.service.credentials import encrypt_credentials
from app.encryption import EncryptionKeys
from app.identity.service.change_executor import ChangeRequest, ChangeResult
from app.timestamps import format_timestamp

MAX_CONNECTIONS = 50  # per tenant
_AUDITED_FIELDS = ("name", "broker", "is_live", "account", "base_url", "live_enabled_by", "people")
_UNCONNECTED_STATE: dict[str, Any] = {  # until it connects with its present terms
    "error": None, "connected_since": None, "checked_at": None, "requests_left": None,
    "session_expires_at": None, "live_enabled_by": None, "live_enabled_at": None,
    "circuit": "closed", "failures": 0, "failure_kind": None, "circuit_opened_at": None,
    "next_attempt_at": None,
}  # fmt: skip

HasLimits = Callable[[Connection, int], bool]  # whether a limit of the tenant is set


class BrokerConnections:
    """Changes connections. Its functions run in the transaction of a request."""

    def __init__(
        self,
        keys: EncryptionKeys,
        policy: AddressPolicy,
        has_limits: HasLimits,
        draw: Callable[[int], bytes] = secrets.token_bytes,
    ) -> None:
        self.keys, self.policy = keys, policy
        self._has_limits, self._draw = has_limits, draw

    def create(
        self, connection: Connection, request: ChangeRequest, new: NewConnection, now: datetime
    ) -> ChangeResult:
        """Create a connection. Raises ConnectionNotValid, ConnectionExists or TooManyConnections."""
        caller = request.caller
        base_url = new.base_url or get_default_address(new.broker, is_live=new.is_live)
        base_url = None if base_url is None else normalize_address(new.broker, base_url)
        self._check_address(caller.tenant_id, new.broker, base_url, is_live=new.is_live)
        _require_credentials(new.broker, new.credentials)
        if CONNECTIONS.count(connection, tenant_id=caller.tenant_id) >= MAX_CONNECTIONS:
            raise TooManyConnections(MAX_CONNECTIONS)
        if queries.find_connection(connection, caller.tenant_id, new.name) is not None:
            raise ConnectionExists(f"{new.name!r}")
        _require_free_account(connection, caller.tenant_id, new.broker, new.account, new.name)
        connection_id = f"bc_{self._draw(12).hex()}"
        status = ConnectionStatus.AWAITING_LIVE if new.is_live else ConnectionStatus.NEW
        stored = StoredConnection(
            id=connection_id, tenant_id=caller.tenant_id, name=new.name, broker=new.broker.value,
            is_live=new.is_live, account=new.account, base_url=base_url or "",
            credentials=encrypt_credentials(self.keys, caller.tenant_id, connection_id, new.credentials),
            status=status.value, last_event_at=None, cursor=0, version=1, created_by=caller.actor,
            changed_by=caller.actor, created_at=now, updated_at=now, **_UNCONNECTED_STATE,
        )  # fmt: skip
        CONNECTIONS.insert(connection, stored)
        entry = request.build_audit_entry(
            now, "broker_connection.created", _build_target(stored), None, _build_audit_values(stored)
        )
        return ChangeResult(serialize_connection(stored, None, now), [entry], 201)

    def update(
        self,
        connection: Connection,
        request: ChangeRequest,
        name: str,
        changes: dict[str, Any],
        now: datetime,
    ) -> ChangeResult:
        """Change the account, the address or the credentials. Live trading must then be enabled again.

        A change of only the people who may trade keeps it enabled.
        """
        stored = get_connection(connection, request.caller.tenant_id, name, locks=True)
        broker, values = BrokerName(stored.broker), dict(changes)
        if values.keys() == {"people"}:
            return self._save(connection, request, stored, values | {"updated_at": now}, now)
        values["base_url"] = normalize_address(broker, values.get("base_url", stored.base_url))
        self._check_address(stored.tenant_id, broker, values["base_url"], is_live=stored.is_live)
        credentials = values.pop("credentials", None)
        if credentials is not None:
            _require_credentials(broker, credentials)
            values["credentials"] = encrypt_credentials(self.keys, stored.tenant_id, stored.id, credentials)
        if values.get("account") != stored.account:
            _require_free_account(connection, stored.tenant_id, broker, values.get("account"), name)
        status = ConnectionStatus.AWAITING_LIVE if stored.is_live else ConnectionStatus.NEW
        values |= _UNCONNECTED_STATE | {
            "status": status.value,
            "changed_by": request.caller.actor,
            "updated_at": now,
        }
        note = {"access": "changed"} if credentials is not None else {}
        return self._save(connection, request, stored, values, now, note)

    def _save(
        self, connection: Connection, request: ChangeRequest, stored: StoredConnection,
        values: dict[str, Any], now: datetime, note: Mapping[str, str] = MappingProxyType({}),
    ) -> ChangeResult:  # fmt: skip
        queries.update_connection(connection, stored, values)
        updated = stored._replace(**values)
        after = {**_build_audit_values(updated), **note}
        entry = request.build_audit_entry(
            now, "broker_connection.updated", _build_target(stored), _build_audit_values(stored), after
        )
        return ChangeResult(self._serialize(connection, updated, now), [entry])

    def enable_live(
        self, connection: Connection, request: ChangeRequest, name: str, now: datetime
    ) -> ChangeResult:
        """Enable sending orders on a live connection. A person who did not set it up must decide.

        Raises NotLive, SecondPersonNeeded and LimitsNeeded.
        """
        caller = request.caller
        stored = get_connection(connection, caller.tenant_id, name, locks=True)
        if not stored.is_live:
            raise NotLive(name)
        if stored.live_enabled_by is not None:
            return ChangeResult(self._serialize(connection, stored, now), ())
        if caller.person is None or caller.person in {stored.changed_by, stored.created_by}:
            raise SecondPersonNeeded
        if not self._has_limits(connection, caller.tenant_id):
            raise LimitsNeeded
        changes: dict[str, Any] = {
            "live_enabled_by": caller.person, "live_enabled_at": now, "updated_at": now,
            "status": ConnectionStatus.NEW.value,
        }  # fmt: skip
        queries.update_connection(connection, stored, changes)
        updated = stored._replace(**changes)
        entry = request.build_audit_entry(
            now,
            "broker_connection.live_enabled",
            _build_target(stored),
            _build_audit_values(stored),
            _build_audit_values(updated),
        )
        return ChangeResult(self._serialize(connection, updated, now), [entry])

    def delete(
        self, connection: Connection, request: ChangeRequest, name: str, now: datetime
    ) -> ChangeResult:
        """Delete a connection that no portfolio uses. Raises ConnectionInUse."""
        stored = get_connection(connection, request.caller.tenant_id, name, locks=True)
        portfolio_name = queries.load_names_by_connection(connection, stored.tenant_id).get(name)
        if portfolio_name is not None:
            raise ConnectionInUse(name, portfolio_name)
        CONNECTIONS.delete(connection, tenant_id=stored.tenant_id, name=stored.name)
        entry = request.build_audit_entry(
            now, "broker_connection.deleted", _build_target(stored), _build_audit_values(stored), None
        )
        return ChangeResult({}, [entry], 204)

    def _check_address(
        self, tenant_id: int, broker: BrokerName, base_url: str | None, *, is_live: bool
    ) -> None:
        if base_url is None:
            message = "The broker has no paper environment: give the address of a stand-in, or set `live`."
            raise ConnectionNotValid("base_url", message)
        problem = find_address_problem(broker, base_url, is_live=is_live, policy=self.policy)
        problem = problem or find_gateway_owner_problem(tenant_id, broker, base_url, self.policy)
        if problem is not None:
            raise ConnectionNotValid("base_url", problem)

    def _serialize(self, connection: Connection, stored: StoredConnection, now: datetime) -> dict[str, Any]:
        names = queries.load_names_by_connection(connection, stored.tenant_id)
        return serialize_connection(stored, names.get(stored.name), now)


def get_connection(
    connection: Connection, tenant_id: int, name: str, *, locks: bool = False
) -> StoredConnection:
    """Return a connection of the tenant. Raises NoSuchConnection."""
    stored_connection = queries.find_connection(connection, tenant_id, name, locks=locks)
    if stored_connection is None:
        raise NoSuchConnection(name)
    return stored_connection


def list_serialized_connections(
    connection: Connection, tenant_id: int, now: datetime
) -> list[dict[str, Any]]:
    """Return the connections of a tenant as the API returns them."""
    names = queries.load_names_by_connection(connection, tenant_id)
    connections = queries.list_connections(connection, tenant_id)
    return [serialize_connection(stored, names.get(stored.name), now) for stored in connections]


def get_serialized_connection(
    connection: Connection, tenant_id: int, name: str, now: datetime
) -> dict[str, Any]:
    """Return a connection as the API returns it. Raises NoSuchConnection."""
    stored = get_connection(connection, tenant_id, name)
    return serialize_connection(
        stored, queries.load_names_by_connection(connection, tenant_id).get(name), now
    )


def compute_lag(stored: StoredConnection, now: datetime) -> float | None:
    """Return the seconds since the broker responded last, None if it never did."""
    return (
        None if stored.checked_at is None else round(max((now - stored.checked_at).total_seconds(), 0.0), 3)
    )


def serialize_connection(
    stored: StoredConnection, portfolio_name: str | None, now: datetime
) -> dict[str, Any]:
    """Serialize a connection without its credentials. `lag_seconds` is the time since the last contact."""
    instants = (
        "connected_since", "last_event_at", "session_expires_at", "live_enabled_at",
        "circuit_opened_at", "next_attempt_at",
    )  # fmt: skip
    return {
        "name": stored.name,
        "broker": stored.broker,
        "live": stored.is_live,
        "account": stored.account,
        "base_url": stored.base_url,
        "portfolio_name": portfolio_name,
        "status": stored.status,
        "error": stored.error,
        "lag_seconds": compute_lag(stored, now),
        "requests_left": stored.requests_left,
        "circuit": stored.circuit,
        "failures": stored.failures,
        "failure_kind": stored.failure_kind,
        **{
            name: None if (at := getattr(stored, name)) is None else format_timestamp(at) for name in instants
        },
        "live_enabled_by": stored.live_enabled_by,
        "people": parse_people(stored.people),
        "created_by": stored.created_by,
        "created_at": format_timestamp(stored.created_at),
        "updated_at": format_timestamp(stored.updated_at),
    }


def _require_credentials(broker: BrokerName, credentials: dict[str, str]) -> None:
    problem = find_credentials_problem(broker, credentials)
    if problem is not None:
        raise ConnectionNotValid("credentials", problem)


def _require_free_account(
    connection: Connection, tenant_id: int, broker: BrokerName, account: str | None, name: str
) -> None:
    if account is None:
        return
    other = CONNECTIONS.find(connection, tenant_id=tenant_id, broker=broker, account=account)
    if other is not None and other.name != name:
        raise ConnectionExists(f"to this account, {other.name!r}")


def _build_audit_values(stored: StoredConnection) -> AuditValues:
    return {name: getattr(stored, name) for name in _AUDITED_FIELDS}


def _build_target(stored: StoredConnection) -> str:
    return f"broker_connection:{stored.name}"
