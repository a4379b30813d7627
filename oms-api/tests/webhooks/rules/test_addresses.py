"""The URLs and addresses that a webhook may have."""

import ipaddress

import pytest

from app.webhooks.rules.addresses import (
    AddressPolicy,
    find_url_problem,
    is_permitted,
    is_public,
    parse_url,
)

INTERNAL = "http://slack-bot:3000/oms/events"
PRODUCTION = AddressPolicy(frozenset({INTERNAL}))
DEVELOPMENT = AddressPolicy(frozenset({INTERNAL}), allows_loopback=True)
PRIVATE = [
    *("0.0.0.1", "10.1.2.3", "100.64.0.1", "100.100.100.200", "127.0.0.1", "127.9.9.9"),
    *("168.63.129.16", "169.254.169.254", "172.16.0.1", "172.31.255.255", "192.0.0.192", "192.0.2.1"),
    *("192.88.99.1", "192.168.1.1", "198.18.0.1", "198.19.255.255", "198.51.100.1", "203.0.113.9"),
    *("224.0.0.1", "239.255.255.250", "240.0.0.1", "255.255.255.255"),
    *("::", "::1", "::ffff:127.0.0.1", "::ffff:8.8.8.8", "64:ff9b::a00:1", "64:ff9b:1::1", "100::1"),
    *("2001::1", "2001:2::1", "2001:10::1", "2001:db8::1", "2002:a00:1::1", "3fff::1", "5f00::1"),
    *("fc00::1", "fd00:ec2::254", "fe80::1", "fec0::1", "ff02::1"),
]
PUBLIC = [
    *("1.1.1.1", "8.8.8.8", "100.63.255.255", "100.128.0.1", "172.15.0.1", "172.32.0.1", "192.0.1.1"),
    *("198.17.0.1", "198.20.0.1", "223.255.255.255", "2606:4700::1111", "2a00:1450::1", "2001:4860::8888"),
]


@pytest.mark.parametrize("text", PRIVATE)
def test_special_addresses_are_not_public(text):
    address = ipaddress.ip_address(text)
    assert not is_public(address)
    assert not is_permitted(address, "https://hooks.example.com/", PRODUCTION)
    host = f"[{text}]" if ":" in text else text
    assert find_url_problem(f"https://{host}/x", PRODUCTION)


@pytest.mark.parametrize("text", PUBLIC)
def test_addresses_around_them_are_public(text):
    address = ipaddress.ip_address(text)
    assert is_public(address)
    assert is_permitted(address, "https://hooks.example.com/", PRODUCTION)


@pytest.mark.parametrize(
    "url",
    [
        *("", "hooks.example.com", "ftp://hooks.example.com/", "https://", "https:///path", "javascript:x"),
        *("https://user@hooks.example.com/", "https://user:pw@hooks.example.com/", "https://h.example/#x"),
        *("https://h.example/a b", "https://h.example/\n", "https://h.example:99999/", "https://[::1/"),
        *("https://h.example/é", "https://h.example/" + "x" * 2000),
    ],
)
def test_malformed_url_is_refused(url):
    assert parse_url(url) is None
    assert find_url_problem(url, DEVELOPMENT)


def test_https_is_required_and_loopback_is_for_development():
    assert find_url_problem("https://hooks.example.com/x?y=1", PRODUCTION) is None
    assert find_url_problem("http://hooks.example.com/x", DEVELOPMENT) == "Must be an https URL."
    for host in ("localhost", "127.0.0.1", "[::1]"):
        for scheme in ("http", "https"):
            assert find_url_problem(f"{scheme}://{host}:3000/x", DEVELOPMENT) is None
            assert find_url_problem(f"{scheme}://{host}:3000/x", PRODUCTION)


def test_name_must_not_resolve_to_loopback_although_loopback_is_allowed():
    loopback = ipaddress.ip_address("127.0.0.1")
    assert is_permitted(loopback, "http://localhost:3000/x", DEVELOPMENT)
    assert not is_permitted(loopback, "https://rebinding.example.com/x", DEVELOPMENT)
    assert not is_permitted(loopback, "http://localhost:3000/x", PRODUCTION)


def test_internal_url_is_exempt_exactly_as_it_is_written():
    private = ipaddress.ip_address("10.0.0.7")
    assert find_url_problem(INTERNAL, PRODUCTION) is None
    assert is_permitted(private, INTERNAL, PRODUCTION)
    for other in (f"{INTERNAL}/", f"{INTERNAL}?x=1", "http://slack-bot:3000/", "http://slack-bot/oms/events"):
        assert find_url_problem(other, PRODUCTION)
        assert not is_permitted(private, other, PRODUCTION)


@pytest.mark.parametrize(
    ("url", "host_header", "port", "path"),
    [
        ("https://a.example", "a.example", 443, "/"),
        ("https://a.example:8443/x?y=1", "a.example:8443", 8443, "/x?y=1"),
        ("http://a.example/x", "a.example", 80, "/x"),
        ("https://[2606:4700::1111]:444/", "[2606:4700::1111]:444", 444, "/"),
    ],
)
def test_url_is_split_into_parts(url, host_header, port, path):
    target = parse_url(url)
    assert target is not None
    assert (target.host_header, target.port, target.path) == (host_header, port, path)
