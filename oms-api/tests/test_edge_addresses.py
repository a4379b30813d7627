"""The client's address: the peer's, or that in X-Forwarded-For if a trusted proxy sent it."""

import httpx
import pytest

from app.addresses import NOBODY, AddressResolver
from app.config import parse_networks
from tests.support.processes import running

PROXIES = parse_networks("10.0.0.0/8, 2001:db8:f::/48,192.0.2.7")
FORWARDED = b"x-forwarded-for"


def resolve(peer, *entries, trusted=PROXIES):
    headers = [(b"host", b"x"), *((FORWARDED, entry.encode("latin-1")) for entry in entries)]
    return AddressResolver(trusted).resolve(peer, headers)


@pytest.mark.parametrize("entries", [[], ["203.0.113.9"], ["203.0.113.9, 10.0.0.1"]])
def test_without_trusted_proxies_the_peer_counts_whatever_is_forwarded(entries):
    assert resolve("198.51.100.1", *entries, trusted=()) == "198.51.100.1"


@pytest.mark.parametrize("entries", [["203.0.113.9"], ["203.0.113.9", "10.0.0.1"]])
def test_a_stranger_forges_nothing(entries):
    assert resolve("198.51.100.1", *entries) == "198.51.100.1"


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
def test_behind_proxies_the_right_most_untrusted_entry_counts(entries, address):
    assert resolve("10.0.0.1", *entries) == address


def test_an_ipv4_peer_on_an_ipv6_socket_counts_as_itself():
    assert resolve("::ffff:198.51.100.1", "203.0.113.9") == "198.51.100.1"
    assert resolve("::ffff:10.0.0.1", "203.0.113.9") == "203.0.113.9"
    assert resolve("::ffff:198.51.100.1", trusted=()) == "198.51.100.1"


def test_a_socket_without_an_address_counts_as_nobody():
    assert resolve(None, "203.0.113.9") == NOBODY


@pytest.mark.parametrize("peer", ["testclient", "", "fe80::1%eth0"])
def test_what_is_no_plain_address_stays_as_it_is(peer):
    assert resolve(peer, "203.0.113.9") == peer


@pytest.mark.parametrize("text", ["10.0.0.1/8", "everyone", "0.0.0.0/0", "::/0", "10.0.0.0/8 10.1.0.0/16"])
def test_what_is_no_network_or_all_of_them_is_refused(text):
    with pytest.raises(ValueError, match=r".+"):
        parse_networks(text)


def statuses(service, *entries):
    sent = (
        httpx.get(f"{service.url}/api/v1/portfolios", headers={"X-Forwarded-For": entry}) for entry in entries
    )
    return [answer.status_code for answer in sent]


def test_a_forged_header_opens_no_second_bucket_and_a_proxys_does(new_database):
    settings = {
        "DATABASE_URL": new_database("sqlite"),
        "RATE_LIMIT_PER_MINUTE": "100",
        "RATE_LIMIT_ADDRESS_PER_MINUTE": "2",
    }
    with running(**settings) as service:
        assert statuses(service, "203.0.113.1", "203.0.113.2", "203.0.113.3") == [401, 401, 429]
    with running(**settings, TRUSTED_PROXIES="127.0.0.0/8,::1") as service:
        assert statuses(service, "203.0.113.1", "9.9.9.9, 203.0.113.1", "203.0.113.1") == [401, 401, 429]
        assert statuses(service, "203.0.113.2") == [401]
