"""The client address of a request: the peer, or the address that a trusted proxy reports."""

import ipaddress
from collections.abc import Iterable, Sequence
from functools import lru_cache

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

NO_ADDRESS = "-"  # a Unix domain socket has no address
_FORWARDED_FOR_HEADER = b"x-forwarded-for"
_MAPPED_IPV4_PREFIX = "::ffff:"  # IPv4 on a socket that accepts IPv6 too
_MAX_HOPS = 20


class AddressResolver:
    """Determines the client address of a request.

    Entries of X-Forwarded-For are read from the right, as long as a trusted proxy has written them.
    """

    def __init__(self, trusted: Sequence[Network] = ()) -> None:
        self._trusted = tuple(trusted)
        self._is_trusted = lru_cache(maxsize=4096)(self._is_in_trusted_network)

    def resolve(self, peer: str | None, headers: Iterable[tuple[bytes, bytes]]) -> str:
        """Return the client address of a request from `peer` with these headers."""
        if peer is None:
            return NO_ADDRESS
        if peer.startswith(_MAPPED_IPV4_PREFIX):
            peer = _convert_mapped_address(peer)
        if not self._trusted or not self._is_trusted(peer):
            return peer
        header_values = [value for name, value in headers if name == _FORWARDED_FOR_HEADER]
        hops = b",".join(header_values).decode("latin-1").rsplit(",", _MAX_HOPS)
        return self._find_last_untrusted(peer, hops[-_MAX_HOPS:])

    def _find_last_untrusted(self, address: str, hops: Sequence[str]) -> str:
        for hop in reversed(hops):
            address_in_hop = _parse_address(hop)
            if address_in_hop is None:
                break  # no trusted proxy wrote the entries further left
            address = address_in_hop
            if not self._is_trusted(address):
                break
        return address

    def _is_in_trusted_network(self, text: str) -> bool:
        try:
            address = ipaddress.ip_address(_convert_mapped_address(text))
        except ValueError:
            return False
        return any(address in network for network in self._trusted)


@lru_cache(maxsize=4096)
def find_network(address: str) -> str:
    """Return the network that one client usually stays in.

    It is the address itself for IPv4, and the /64 network for IPv6.
    """
    try:
        ip_address = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(ip_address, ipaddress.IPv4Address):
        return str(ip_address)
    if ip_address.ipv4_mapped:
        return str(ip_address.ipv4_mapped)
    return str(ipaddress.ip_network((ip_address, 64), strict=False))


@lru_cache(maxsize=4096)
def _parse_address(hop: str) -> str | None:
    """Return the address in an entry, with or without a port, or None."""
    text = hop.strip()
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        return _convert_mapped_address(str(ipaddress.ip_address(text)))
    except ValueError:
        return None


def _convert_mapped_address(text: str) -> str:
    """Return an IPv4-mapped IPv6 address as IPv4."""
    address = ipaddress.ip_address(text)
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return str(mapped or address)
