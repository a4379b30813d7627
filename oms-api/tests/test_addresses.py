"""The client's address: the peer's, or that in X-Forwarded-For if a trusted proxy sent it."""

import httpx
import pytest

from app.addresses import NO_ADDRESS, AddressResolver
from app.config import parse_networks
from tests.support.conditions import WAIT_SECONDS
from tests.support.processes import run_process

PROXIES = parse_networks("10.0.0.0/8, 2001:db8:f::/48,192.0.2.7")
FORWARDED = b"x-forwarded-for"


def resolve_address(peer, *entries, trusted=PROXIES):
    headers = [(b"host", b"x"), *((FORWARDED, entry.encode("latin-1")) for entry in entries)]
    return AddressResolver(trusted).resolve(peer, headers)


@pytest.mark.parametrize("entries", [[], ["203.0.113.9"], ["203.0.113.9, 10.0.0.1"]])
def test_forwarded_header_is_ignored_without_trusted_proxies(entries):
    assert resolve_address("198.51.100.1", *entries, trusted=()) == "198.51.100.1"


@pytest.mark.parametrize("entries", [["203.0.113.9"], ["203.0.113.9", "10.0.0.1"]])
def test_forwarded_header_of_an_untrusted_peer_is_ignored(entries):
    assert resolve_address("198.51.100.1", *entries) == "198.51.100.1"


@pytest.mark.parametrize(
    ("entries", "address"),
    [
        ([], "10.0.0.1"),
        ([""], "10.0.0.1"),
        (["203.0.113.9"], "203.0.113.9"),
        (["8.8.8.8, 203.0.113.9"], "203.0.113.9"),
        (["8.8.8.8, 203.0.113.9, 10.2.3.4"], "203.0.113.9"),
        (["8.8.8.8", "203.0.113.9", "10.2.3.4,192.0.2.7"], "203.0.113.9"),
        (["10.9.9.9, 10.2.3.4"], "10.9.9.9"),
        (["203.0.113.9, nonsense"], "10.0.0.1"),
        (["203.0.113.9, nonsense, 10.2.3.4"], "10.2.3.4"),
        (["203.0.113.9, 1.2.3"], "10.0.0.1"),
        (["203.0.113.9, \u00e9"], "10.0.0.1"),
        (["203.0.113.9:4711"], "203.0.113.9"),
        (["2001:db8::5"], "2001:db8::5"),
        (["2001:DB8:0::5"], "2001:db8::5"),
        (["[2001:db8::5]:4711"], "2001:db8::5"),
        (["::ffff:203.0.113.9"], "203.0.113.9"),
        (["8.8.8.8, ::ffff:10.1.1.1"], "8.8.8.8"),
        (["203.0.113.9, 2001:db8:f::1"], "203.0.113.9"),
        (["8.8.8.8," + "10.0.0.2," * 10_000 + "10.0.0.2"], "10.0.0.2"),
    ],
)
def test_client_address_is_the_rightmost_untrusted_entry(entries, address):
    assert resolve_address("10.0.0.1", *entries) == address


def test_ipv4_mapped_peer_is_its_ipv4_address():
    assert resolve_address("::ffff:198.51.100.1", "203.0.113.9") == "198.51.100.1"
    assert resolve_address("::ffff:10.0.0.1", "203.0.113.9") == "203.0.113.9"
    assert resolve_address("::ffff:198.51.100.1", trusted=()) == "198.51.100.1"


def test_socket_without_an_address_has_an_empty_address():
    assert resolve_address(None, "203.0.113.9") == NO_ADDRESS


@pytest.mark.parametrize("peer", ["testclient", "", "fe80::1%eth0"])
def test_non_ip_address_is_unchanged(peer):
    assert resolve_address(peer, "203.0.113.9") == peer


@pytest.mark.parametrize("text", ["10.0.0.1/8", "everyone", "0.0.0.0/0", "::/0", "10.0.0.0/8 10.1.0.0/16"])
def test_invalid_or_universal_proxy_network_is_rejected(text):
    with pytest.raises(ValueError, match=r".+"):
        parse_networks(text)


def list_statuses(service, *entries):
    sent = (
        httpx.get(
            f"{service.url}/api/v1/portfolios", headers={"X-Forwarded-For": entry}, timeout=WAIT_SECONDS
        )
        for entry in entries
    )
    return [response.status_code for response in sent]


def test_only_a_trusted_proxy_header_opens_another_rate_limit_bucket(new_database):
    settings = {
        "DATABASE_URL": new_database("sqlite"),
        "RATE_LIMIT_PER_MINUTE": "100",
        "RATE_LIMIT_ADDRESS_PER_MINUTE": "2",
    }
    with run_process(**settings) as service:
        assert list_statuses(service, "203.0.113.1", "203.0.113.2", "203.0.113.3") == [401, 401, 429]
    with run_process(**settings, TRUSTED_PROXIES="127.0.0.0/8,::1") as service:
        assert list_statuses(service, "203.0.113.1", "9.9.9.9, 203.0.113.1", "203.0.113.1") == [401, 401, 429]
        assert list_statuses(service, "203.0.113.2") == [401]
