"""The addresses, credentials and accounts that a connection may have."""

import pytest

from app.brokers.rules.connections import (
    AddressPolicy,
    BrokerName,
    ConnectionTerms,
    can_trade,
    find_account_problem,
    find_address_problem,
    find_credentials_problem,
    find_gateway_owner_problem,
    get_default_address,
    is_live_gateway,
    normalize_address,
    parse_people,
)

STRICT = AddressPolicy()
INTERNAL = AddressPolicy(frozenset({"http://standin:9000", "https://api.alpaca.markets", "gateway:4002"}))
DEVELOPMENT = AddressPolicy(allows_loopback=True)
PAPER, LIVE = "https://paper-api.alpaca.markets", "https://api.alpaca.markets"
ALPACA, ZERODHA, IBKR = BrokerName.ALPACA, BrokerName.ZERODHA, BrokerName.IBKR


@pytest.mark.parametrize(
    ("broker", "url", "is_live", "policy"),
    [
        (ALPACA, PAPER, False, STRICT),
        (ALPACA, f"{PAPER}/", False, STRICT),
        (ALPACA, LIVE, True, STRICT),
        (ALPACA, "http://standin:9000", False, INTERNAL),
        (ALPACA, "http://127.0.0.1:9000", False, DEVELOPMENT),
        (ZERODHA, "https://api.kite.trade", True, STRICT),
        (ZERODHA, "http://localhost:9000", False, DEVELOPMENT),
        (IBKR, "127.0.0.1:4002", False, STRICT),
        (IBKR, "localhost:7496", True, STRICT),
        (IBKR, "gateway:4002", False, INTERNAL),
    ],
)
def test_permitted_addresses_are_accepted(broker, url, is_live, policy):
    assert find_address_problem(broker, url, is_live=is_live, policy=policy) is None


@pytest.mark.parametrize("policy", [STRICT, INTERNAL, DEVELOPMENT])
@pytest.mark.parametrize(
    ("broker", "url"),
    [
        (ALPACA, LIVE),
        (ALPACA, "https://API.alpaca.markets"),
        (ALPACA, "https://api.alpaca.markets."),
        (ALPACA, "https://api.alpaca.markets:8443"),
        (ZERODHA, "https://api.kite.trade"),
        (IBKR, "127.0.0.1:4001"),
        (IBKR, "127.0.0.1:7496"),
        (IBKR, "gateway:4001"),
    ],
)
def test_paper_connection_never_has_a_live_address(broker, url, policy):
    assert find_address_problem(broker, url, is_live=False, policy=policy) is not None


@pytest.mark.parametrize(
    ("broker", "url", "is_live"),
    [
        (ALPACA, PAPER, True),
        (IBKR, "127.0.0.1:4002", True),
        (ALPACA, "http://paper-api.alpaca.markets", False),
        (ALPACA, "https://paper-api.alpaca.markets.evil.example", False),
        (ALPACA, "https://paper-api.alpaca.markets@evil.example", False),
        (ALPACA, "https://paper-api.alpaca.markets/v2", False),
        (ALPACA, "https://169.254.169.254", False),
        (ALPACA, "http://127.0.0.1:9000", False),
        (ALPACA, "https://10.0.0.1", True),
        (ALPACA, "nonsense", False),
        (ZERODHA, "https://kite.example", False),
        (IBKR, "10.0.0.1:4002", False),
        (IBKR, "127.0.0.1", False),
        (IBKR, "127.0.0.1:٤٠٠٢", False),
        (IBKR, "127.0.0.1:99999", False),
    ],
)
def test_other_address_is_refused_in_production(broker, url, is_live):
    assert find_address_problem(broker, url, is_live=is_live, policy=STRICT) is not None


@pytest.mark.parametrize(
    ("broker", "url", "expected"),
    [
        (ALPACA, "HTTPS://Paper-API.alpaca.markets:443/", PAPER),
        (ZERODHA, "https://API.kite.trade", "https://api.kite.trade"),
        (ALPACA, "https://paper-api.alpaca.markets:8443", "https://paper-api.alpaca.markets:8443"),
        (ALPACA, "http://paper-api.alpaca.markets", "http://paper-api.alpaca.markets"),
        (ALPACA, "http://Standin:9000/", "http://Standin:9000/"),
        (ALPACA, "nonsense", "nonsense"),
        (IBKR, "gateway:4002", "gateway:4002"),
    ],
)
def test_address_of_the_broker_has_one_form(broker, url, expected):
    assert normalize_address(broker, url) == expected


@pytest.mark.parametrize(
    "host",
    [
        *("api.alpaca.markets%2e", "api.alpaca.markets%2E", "api。alpaca。markets", "api.alpaca.markets.."),
        *("paper-api.alpaca.markets@api.alpaca.markets", "api.alpaca.markets\\@paper-api.alpaca.markets"),
        *("api.alpaca.markets#paper-api.alpaca.markets", "api.alpaca.markets?paper-api.alpaca.markets"),
        *("[::ffff:127.0.0.1]@api.alpaca.markets", "127.0.0.1.api.alpaca.markets", "0x7f000001", "[::]"),
        *("localhost.alpaca.markets", "localhost@api.alpaca.markets", "127.0.0.1%40api.alpaca.markets"),
    ],
)
@pytest.mark.parametrize("policy", [STRICT, INTERNAL, DEVELOPMENT])
def test_disguised_address_is_refused_for_a_paper_connection(host, policy):
    for scheme in ("https", "HTTPS", "http"):
        url = f"{scheme}://{host}"
        assert find_address_problem(ALPACA, url, is_live=False, policy=policy) is not None


LISTED = AddressPolicy(frozenset({"gateway:4002", "2=gateway:4003", "2=127.0.0.1:4005", "3=127.0.0.1:4005"}))


@pytest.mark.parametrize(
    ("tenant_id", "address", "is_permitted"),
    [
        (1, "127.0.0.1:4002", True),
        (1, "gateway:4002", True),
        (2, "127.0.0.1:4002", False),
        (2, "localhost:4002", False),
        (2, "gateway:4002", False),
        (2, "gateway:4003", True),
        (1, "gateway:4003", False),
        (2, "127.0.0.1:4005", True),
        (3, "127.0.0.1:4005", True),
        (4, "127.0.0.1:4005", False),
        (22, "gateway:4003", False),
    ],
)
def test_gateway_is_used_by_its_tenant_alone(tenant_id, address, is_permitted):
    assert find_address_problem(IBKR, address, is_live=False, policy=LISTED) is None
    problem = find_gateway_owner_problem(tenant_id, IBKR, address, LISTED)
    assert (problem is None) == is_permitted


def test_brokers_with_credentials_have_no_gateways():
    assert find_gateway_owner_problem(2, ALPACA, PAPER, STRICT) is None


def test_default_address_fits_its_environment():
    for broker in BrokerName:
        for is_live in (False, True):
            url = get_default_address(broker, is_live=is_live)
            if url is not None:
                assert find_address_problem(broker, url, is_live=is_live, policy=STRICT) is None
    assert get_default_address(ZERODHA, is_live=False) is None


def test_credentials_have_exactly_their_fields_and_no_message_has_a_value():
    good = {"key_id": "K", "secret_key": "S"}
    assert find_credentials_problem(ALPACA, good) is None
    assert find_credentials_problem(IBKR, {}) is None
    for broker, bad in (
        (ALPACA, {"key_id": "CANARY"}),
        (ALPACA, good | {"more": "CANARY"}),
        (ALPACA, good | {"secret_key": ""}),
        (ALPACA, good | {"secret_key": "CAN ARY"}),
        (ALPACA, good | {"secret_key": "CANARY\n"}),
        (ALPACA, good | {"secret_key": "CANARY" * 100}),
        (IBKR, {"password": "CANARY"}),
    ):
        problem = find_credentials_problem(broker, bad)
        assert problem is not None
        assert "CANARY" not in problem
        assert "CAN ARY" not in problem


@pytest.mark.parametrize(
    ("is_live", "expected", "number", "is_paper", "is_fine"),
    [
        (False, None, "PA1", True, True),
        (False, "PA1", "PA1", True, True),
        (False, "PA1", None, True, True),
        (False, None, "1", False, False),
        (False, None, "1", None, False),  # the broker does not tell: it could be live
        (True, None, "1", False, True),
        (True, None, "1", None, True),
        (True, None, "PA1", True, False),
        (False, "PA1", "PA2", True, False),
    ],
)
def test_account_must_be_of_the_expected_kind_and_number(is_live, expected, number, is_paper, is_fine):
    problem = find_account_problem(is_live=is_live, expected=expected, number=number, is_paper=is_paper)
    assert (problem is None) is is_fine


def test_representation_of_terms_has_no_credentials():
    terms = ConnectionTerms("alpaca", PAPER, is_live=False, account=None, credentials={"key_id": "CANARY"})
    assert "CANARY" not in f"{terms!r} {terms}"


def test_only_people_of_the_connection_may_trade_if_it_names_some():
    people = parse_people('["alice"]')
    assert people == ["alice"]
    assert parse_people(None) is None
    assert can_trade(people, "alice")
    assert can_trade(people, None)
    assert not can_trade(people, "bob")
    assert can_trade(None, "bob")
    assert not can_trade([], "alice")


@pytest.mark.parametrize(
    ("base_url", "account", "is_live"),
    [
        ("gateway:4002", None, False),
        ("gateway:4002", "DU1", False),
        ("gateway:4002", "U1", True),
        ("gateway:4001", "DU1", True),
        ("gateway:7496", None, True),
    ],
)
def test_port_or_account_makes_a_gateway_live(base_url, account, is_live):
    assert is_live_gateway(base_url, account) is is_live
