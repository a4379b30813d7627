"""Connections to brokers: permitted addresses, credentials, and the guard that keeps paper from live.

A connection that is not live never uses an address of a live environment, and refuses an account that the
broker calls live. The addresses are from the brokers' documentation.
"""

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

from app.identity.rules.access import FIRST_TENANT
from app.webhooks.rules.addresses import AddressPolicy, is_loopback_host, parse_url

__all__ = ["AddressPolicy", "BrokerName", "ConnectionStatus", "ConnectionTerms", "NewConnection"]


class BrokerName(StrEnum):
    """The brokers that a connection can have."""

    ALPACA = "alpaca"
    IBKR = "ibkr"
    ZERODHA = "zerodha"


class ConnectionStatus(StrEnum):
    """The state that determines whether orders are sent."""

    NEW = "new"  # not connected yet
    AWAITING_LIVE = "awaiting_live"  # a second person must enable live trading
    CONNECTED = "connected"
    DOWN = "down"  # the broker does not answer; tried again
    REFUSED = "refused"  # wrong credentials, account or kind of account; a person must correct it


class _Addresses(NamedTuple):
    """The addresses of a broker's paper and live environments, the default one first."""

    paper: tuple[str, ...]
    live: tuple[str, ...]


_HOSTS = {
    BrokerName.ALPACA: _Addresses(("paper-api.alpaca.markets",), ("api.alpaca.markets",)),
    BrokerName.ZERODHA: _Addresses((), ("api.kite.trade",)),  # Kite has no paper environment
}
_GATEWAY_PORTS = _Addresses(("4002", "7497"), ("4001", "7496"))  # IB Gateway and TWS
_CREDENTIALS: dict[BrokerName, frozenset[str]] = {
    BrokerName.ALPACA: frozenset({"key_id", "secret_key"}),
    BrokerName.ZERODHA: frozenset({"api_key", "api_secret"}),
    BrokerName.IBKR: frozenset(),
}
MAX_CREDENTIAL_LENGTH = 500
PAPER_ACCOUNT_PREFIX = "DU"  # of IBKR
_HTTPS_PORT = 443


@dataclass(frozen=True, slots=True)
class NewConnection:
    """A connection to create. `base_url` is None for the broker's usual address."""

    name: str
    broker: BrokerName
    is_live: bool
    account: str | None
    base_url: str | None
    credentials: dict[str, str] = field(repr=False)


@dataclass(frozen=True, slots=True)
class ConnectionTerms:
    """The parameters with which an adapter connects.

    The credentials are decrypted, and left out of the representation.
    """

    broker: str
    base_url: str
    is_live: bool
    account: str | None
    credentials: Mapping[str, str] = field(repr=False)


def get_default_address(broker: BrokerName, *, is_live: bool) -> str | None:
    """Return the broker's address, None if the operator must give one."""
    if broker is BrokerName.IBKR:
        return f"127.0.0.1:{(_GATEWAY_PORTS.live if is_live else _GATEWAY_PORTS.paper)[0]}"
    hosts = _HOSTS[broker].live if is_live else _HOSTS[broker].paper
    return f"https://{hosts[0]}" if hosts else None


def normalize_address(broker: BrokerName, base_url: str) -> str:
    """Return the usual form of an address of the broker itself, any other address as it is.

    The adapters recognize the broker's address by its text.
    """
    target = None if broker is BrokerName.IBKR else parse_url(base_url)
    if target is None or not target.is_encrypted or (target.port, target.path) != (_HTTPS_PORT, "/"):
        return base_url
    hosts = _HOSTS[broker]
    return f"https://{target.host}" if target.host in {*hosts.paper, *hosts.live} else base_url


def find_address_problem(
    broker: BrokerName, base_url: str, *, is_live: bool, policy: AddressPolicy
) -> str | None:
    """Return why a connection may not have this address, None if it may."""
    if broker is BrokerName.IBKR:
        return _find_gateway_problem(base_url, is_live=is_live, policy=policy)
    target = parse_url(base_url)
    if target is None or target.path != "/":
        return "Must be an https URL with a host alone: without path, user name, password and fragment."
    hosts = _HOSTS[broker]
    mismatch = _find_mismatch(target.host, hosts, is_live=is_live)
    if mismatch is not None:
        return f"This is the broker's {mismatch}."
    if base_url in policy.internal_urls or (policy.allows_loopback and is_loopback_host(target.host)):
        return None
    live = hosts.live if is_live else hosts.paper
    if target.host not in live or not target.is_encrypted or target.port != _HTTPS_PORT:
        choices = " or ".join(f"https://{host}" for host in live) or "one of `BROKER_INTERNAL_URLS`"
        return f"Must be {choices}."
    return None


def _find_mismatch(host: str, places: _Addresses, *, is_live: bool) -> str | None:
    """Return how an address contradicts `live`, None if it does not."""
    if not is_live and host.rstrip(".") in places.live:
        return "live address, and `live` is false"
    if is_live and host.rstrip(".") in places.paper:
        return "paper address, and `live` is true"
    return None


def _find_gateway_problem(base_url: str, *, is_live: bool, policy: AddressPolicy) -> str | None:
    """Return why a gateway of IBKR may not have this address `host:port`. The operator runs the gateway."""
    host, _, port = base_url.rpartition(":")
    if not host or not port.isascii() or not port.isdigit() or not 0 < int(port) < 65_536:
        return "Must be host:port of TWS or IB Gateway."
    mismatch = _find_mismatch(port, _GATEWAY_PORTS, is_live=is_live)
    if mismatch is not None:
        return f"Port {port} belongs to the broker's {mismatch}."
    if base_url in policy.internal_urls or is_loopback_host(host) or _list_owners(base_url, policy):
        return None
    return "Must be on this machine, or one of `BROKER_INTERNAL_URLS`."


def find_gateway_owner_problem(
    tenant_id: int, broker: BrokerName, base_url: str, policy: AddressPolicy
) -> str | None:
    """Return why a tenant may not use a gateway of IBKR, None if it may, or if the broker has no gateways.

    A gateway asks for no credentials: each connection to it trades in its account. So it belongs to the first
    tenant, or to the tenants for which the operator lists it, as `tenant ID=host:port`.
    """
    if broker is not BrokerName.IBKR:
        return None
    owners = _list_owners(base_url, policy)
    if str(tenant_id) in owners or (tenant_id == FIRST_TENANT and not owners):
        return None
    return f"The operator must list it for this tenant: {tenant_id}=host:port in `BROKER_INTERNAL_URLS`."


def _list_owners(base_url: str, policy: AddressPolicy) -> set[str]:
    """Return the IDs of the tenants for which a gateway is listed."""
    entries = (url.partition("=") for url in policy.internal_urls)
    return {tenant_id for tenant_id, _, address in entries if address == base_url}


def is_live_gateway(base_url: str, account: str | None) -> bool:
    """Return whether the port or the account of a gateway of IBKR is live. Paper accounts begin with DU."""
    is_live_account = account is not None and not account.startswith(PAPER_ACCOUNT_PREFIX)
    return base_url.rpartition(":")[2] in _GATEWAY_PORTS.live or is_live_account


def find_credentials_problem(broker: BrokerName, credentials: Mapping[str, str]) -> str | None:
    """Return the problem with the credentials, None if there is none. The text never contains a value."""
    needed = _CREDENTIALS[broker]
    if credentials.keys() != needed:
        names = " and ".join(f"`{name}`" for name in sorted(needed))
        return f"Must be {names}." if needed else "Must be empty: TWS or IB Gateway is logged in itself."
    for name, value in credentials.items():
        is_printable = value.isascii() and value.isprintable() and " " not in value
        if not is_printable or not 0 < len(value) <= MAX_CREDENTIAL_LENGTH:
            return f"`{name}` must be 1 to {MAX_CREDENTIAL_LENGTH} printable ASCII characters."
    return None


def parse_people(text: str | None) -> list[str] | None:
    """Return the people who may trade over a connection, None if all people may."""
    if text is None:
        return None
    people: list[str] = json.loads(text)
    return people


def can_trade(people: Collection[str] | None, person: str | None) -> bool:
    """Return whether a person may trade over a connection. A key that acts for no person is not a person."""
    return people is None or person is None or person in people


def find_account_problem(
    *, is_live: bool, expected: str | None, number: str | None, is_paper: bool | None
) -> str | None:
    """Return why an account that the broker answered may not be traded, None if it may.

    An account whose kind the broker does not report counts as live.
    """
    if not is_live and is_paper is not True:
        return "The account is a live account, and `live` is false."
    if is_live and is_paper is True:
        return "The account is a paper account, and `live` is true."
    if expected is not None and number is not None and number != expected:
        return "The credentials are those of another account."
    return None
