"""Which URLs and network addresses a webhook may have.

Python's `is_global` calls several addresses global that lead to private networks. The tables here follow the
special-purpose registries of IANA and the metadata services of cloud providers.
"""

import ipaddress
import re
from typing import NamedTuple
from urllib.parse import urlsplit

IpAddress = ipaddress.IPv4Address | ipaddress.IPv6Address

MAX_URL_LENGTH = 2000
_PRINTABLE_PATTERN = re.compile(r"[\x21-\x7e]+")
_FORBIDDEN_IPV4_NETWORKS = [
    ipaddress.IPv4Network(network)
    for network in (
        "0.0.0.0/8",  # this network
        "10.0.0.0/8",
        "100.64.0.0/10",  # carrier-grade NAT; metadata service of Alibaba
        "127.0.0.0/8",
        "168.63.129.16/32",  # host of Azure
        "169.254.0.0/16",  # link-local; metadata services
        "172.16.0.0/12",
        "192.0.0.0/24",  # protocol assignments
        "192.0.2.0/24",  # documentation
        "192.88.99.0/24",  # relays of 6to4
        "192.168.0.0/16",
        "198.18.0.0/15",  # benchmarks
        "198.51.100.0/24",  # documentation
        "203.0.113.0/24",  # documentation
        "224.0.0.0/3",  # multicast, reserved, broadcast
    )
]
_GLOBAL_IPV6_NETWORK = ipaddress.IPv6Network(
    "2000::/3"
)  # excludes NAT64, mapped, local and multicast addresses
_FORBIDDEN_IPV6_NETWORKS = [
    ipaddress.IPv6Network(network)
    for network in (
        "2001::/23",  # protocol assignments: Teredo, ORCHID, benchmarks
        "2001:db8::/32",  # documentation
        "2002::/16",  # 6to4
        "3fff::/20",  # documentation
    )
]


class DeliveryTarget(NamedTuple):
    """The parts of a URL that a request needs. `host` is a name or an address."""

    host: str
    port: int
    path: str
    is_encrypted: bool

    @property
    def host_header(self) -> str:
        """The value of the header Host."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        default_port = 443 if self.is_encrypted else 80
        return host if self.port == default_port else f"{host}:{self.port}"


class AddressPolicy(NamedTuple):
    """The exceptions of an installation.

    `internal_urls` are exempt from all rules. `allows_loopback` permits http and https on this machine.
    """

    internal_urls: frozenset[str] = frozenset()
    allows_loopback: bool = False


def parse_url(url: str) -> DeliveryTarget | None:
    """Return the parts of an http or https URL, or None if it is malformed or contains credentials."""
    if len(url) > MAX_URL_LENGTH or not _PRINTABLE_PATTERN.fullmatch(url):
        return None
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return None
    if parts.scheme not in ("http", "https") or not parts.hostname or "@" in parts.netloc or parts.fragment:
        return None
    is_encrypted = parts.scheme == "https"
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return DeliveryTarget(parts.hostname, port or (443 if is_encrypted else 80), path, is_encrypted)


def find_url_problem(url: str, policy: AddressPolicy) -> str | None:
    """Return why a webhook may not have this URL, None if it may. Names are resolved at each delivery."""
    target = parse_url(url)
    if target is None:
        return "Must be an https URL of at most 2,000 characters, without user name, password and fragment."
    if url in policy.internal_urls:
        return None
    is_loopback = is_loopback_host(target.host)
    if not target.is_encrypted and not (is_loopback and policy.allows_loopback):
        return "Must be an https URL."
    address = parse_address(target.host)
    if is_loopback and not policy.allows_loopback:
        return "Must not be an address of this machine or of a private network."
    if address is not None and not is_permitted(address, url, policy):
        return "Must not be an address of this machine or of a private network."
    return None


def is_permitted(address: IpAddress, url: str, policy: AddressPolicy) -> bool:
    """Return whether to connect to this address, to which the host of the URL resolved."""
    if url in policy.internal_urls:
        return True
    if address.is_loopback:
        target = parse_url(url)
        return policy.allows_loopback and target is not None and is_loopback_host(target.host)
    return is_public(address)


def is_public(address: IpAddress) -> bool:
    """Return whether the address is on the public Internet."""
    if isinstance(address, ipaddress.IPv4Address):
        return not any(address in network for network in _FORBIDDEN_IPV4_NETWORKS)
    return address in _GLOBAL_IPV6_NETWORK and not any(
        address in network for network in _FORBIDDEN_IPV6_NETWORKS
    )


def is_loopback_host(host: str) -> bool:
    """Return whether the host of a URL names this machine."""
    address = parse_address(host)
    return host == "localhost" if address is None else address.is_loopback


def parse_address(host: str) -> IpAddress | None:
    """Return the address, or None if the host is a name. Only addresses of IPv6 have a zone after a `%`."""
    try:
        return ipaddress.ip_address(host.partition("%")[0] if ":" in host else host)
    except ValueError:
        return None
