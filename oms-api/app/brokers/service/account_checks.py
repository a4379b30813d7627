"""Check a broker connection: log in, read the account, and compare it with the terms of the connection."""

import logging
from collections.abc import Callable
from contextlib import closing
from typing import NamedTuple

from sqlalchemy import Connection

from app.brokers.errors import BrokerOutcomeUnknown, BrokerUnavailable, NoAdapter, SessionNeeded
from app.brokers.protocol import Broker
from app.brokers.queries import CONNECTIONS, StoredConnection
from app.brokers.rules.connections import (
    AddressPolicy,
    BrokerName,
    ConnectionTerms,
    find_account_problem,
    find_address_problem,
    find_gateway_owner_problem,
)
from app.brokers.service.credentials import CredentialsUnreadable, build_connection_terms
from app.clock import monotonic_seconds
from app.encryption import EncryptionKeys

CreateBroker = Callable[[ConnectionTerms], Broker]  # raises NoAdapter
_LOG = logging.getLogger(__name__)


class ConnectionRefused(Exception):
    """Raised when the connection must not be used. The message states the reason, without any credential."""


class LogInNeeded(ConnectionRefused):
    """Raised when the broker's session has ended and a person must log in."""


class ConnectionCheck(NamedTuple):
    """The result of a test. `is_paper` is None if the broker did not answer or does not report it."""

    is_ok: bool
    account: str | None
    is_paper: bool | None
    latency_ms: int
    error: str | None


def open_broker(
    stored: StoredConnection, keys: EncryptionKeys, policy: AddressPolicy, create_broker: CreateBroker
) -> Broker:
    """Return the adapter of a connection, before anything is sent. Raises ConnectionRefused.

    The address is checked again here, because the row could have been changed in the database.
    """
    broker = BrokerName(stored.broker)
    problem = find_address_problem(broker, stored.base_url, is_live=stored.is_live, policy=policy)
    problem = problem or find_gateway_owner_problem(stored.tenant_id, broker, stored.base_url, policy)
    if problem is not None:
        raise ConnectionRefused(f"base_url: {problem}")
    if stored.is_live and stored.live_enabled_by is None:
        raise ConnectionRefused("Live trading is not enabled: a second person must enable it.")
    try:
        return create_broker(build_connection_terms(keys, stored))
    except CredentialsUnreadable as error:
        raise ConnectionRefused(str(error)) from None
    except NoAdapter as error:
        raise ConnectionRefused(error.detail) from None


def check_account(stored: StoredConnection, broker: Broker) -> tuple[str | None, bool | None]:
    """Return the number of the broker's account, and whether it is a paper account.

    Raises ConnectionRefused if it may not be traded, and BrokerUnavailable or BrokerOutcomeUnknown if the
    broker does not answer.
    """
    try:
        account = broker.get_account()
    except SessionNeeded as error:
        raise LogInNeeded(str(error)) from None
    problem = find_account_problem(
        is_live=stored.is_live, expected=stored.account, number=account.number, is_paper=account.is_paper
    )
    if problem is not None:
        raise ConnectionRefused(problem)
    return account.number, account.is_paper


def require_own_account(connection: Connection, stored: StoredConnection, number: str | None) -> None:
    """Raise ConnectionRefused if another connection of the tenant has the account.

    Two connections to one account would read each other's orders as unknown, and its positions could not be
    divided between their portfolios.
    """
    if number is None:
        return
    other = CONNECTIONS.find(connection, tenant_id=stored.tenant_id, broker=stored.broker, account=number)
    if other is not None and other.name != stored.name:
        raise ConnectionRefused(f"The connection {other.name!r} already has the account {number}.")


def check_connection(
    stored: StoredConnection, keys: EncryptionKeys, policy: AddressPolicy, create_broker: CreateBroker
) -> ConnectionCheck:
    """Connect once and return the answer of the broker. Nothing is stored or traded."""
    started = monotonic_seconds()
    number, is_paper, error = None, None, None
    try:
        with closing(open_broker(stored, keys, policy, create_broker)) as broker:
            number, is_paper = check_account(stored, broker)
    except ConnectionRefused as denial:
        error = str(denial)
    except (BrokerUnavailable, BrokerOutcomeUnknown):
        error = "The broker did not answer."
    except Exception as failure:  # noqa: BLE001  # an adapter's failure is the result of the test
        _LOG.warning("the test of a broker connection failed: %s", type(failure).__name__)
        error = f"The broker's answer cannot be parsed ({type(failure).__name__}). Check `base_url`."
    latency_ms = int((monotonic_seconds() - started) * 1000)
    return ConnectionCheck(error is None, number, is_paper, latency_ms, error)


def check_ownership(
    connection: Connection, stored: StoredConnection, check: ConnectionCheck
) -> ConnectionCheck:
    """Return a check that fails if another connection of the tenant has the account."""
    try:
        require_own_account(connection, stored, check.account)
    except ConnectionRefused as error:
        return check._replace(is_ok=False, error=str(error))
    return check
