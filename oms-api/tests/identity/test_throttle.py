"""Throttling of logins by account and address; the owner of an account can still log in."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.addresses import find_network
from app.identity.rules.clients import Client, hash_address
from app.identity.service.throttle import (
    ACCOUNT,
    ADDRESS,
    PAIR,
    Allowance,
    NamedBuckets,
    Throttle,
    TooManyLogIns,
)

HOME, ALICE = "192.0.2.1", "alpha\0alice@x"


class Clock:
    seconds = 1000.0

    def __call__(self):
        return self.seconds


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def throttle(clock):
    return Throttle(clock)


def build_throttle_elsewhere(number):
    return f"198.51.{number // 250}.{number % 250}"


def test_account_and_address_have_ten_attempts_then_one_a_minute(throttle, clock):
    for _ in range(PAIR.attempts):
        throttle.start_attempt(ALICE, HOME)
    with pytest.raises(TooManyLogIns) as caught:
        throttle.start_attempt(ALICE, HOME)
    assert (caught.value.status, caught.value.retry_after_seconds) == (429, 60)
    clock.seconds += 59
    with pytest.raises(TooManyLogIns) as caught:
        throttle.start_attempt(ALICE, HOME)
    assert caught.value.retry_after_seconds == 1
    clock.seconds += 1
    throttle.start_attempt(ALICE, HOME)
    with pytest.raises(TooManyLogIns):
        throttle.start_attempt(ALICE, HOME)


def test_guesses_from_other_addresses_do_not_lock_out_a_known_address(throttle):
    for number in range(ACCOUNT.attempts):
        assert throttle.start_attempt(ALICE, build_throttle_elsewhere(number)).unknown_address_wait == 0
    stranger = throttle.start_attempt(ALICE, build_throttle_elsewhere(9000))
    at_home = throttle.start_attempt(ALICE, HOME)
    assert (
        stranger.unknown_address_wait == at_home.unknown_address_wait == 60
    )  # and the caller knows who is a stranger


def test_address_with_many_accounts_is_throttled_as_unknown(throttle):
    for number in range(ADDRESS.attempts):
        assert throttle.start_attempt(f"alpha\0{number}@x", HOME).unknown_address_wait == 0
    assert throttle.start_attempt("alpha\0another@x", HOME).unknown_address_wait == ADDRESS.seconds_each
    assert throttle.start_attempt("alpha\0another@x", build_throttle_elsewhere(1)).unknown_address_wait == 0


def test_successful_login_resets_failures_and_uses_no_attempt(throttle):
    for _ in range(PAIR.attempts - 1):
        throttle.start_attempt(ALICE, HOME)
    throttle.record_success(throttle.start_attempt(ALICE, HOME))
    for _ in range(PAIR.attempts):
        throttle.start_attempt(ALICE, HOME)


def test_own_success_does_not_restore_attempts_on_other_accounts(throttle):
    for number in range(ADDRESS.attempts):
        throttle.start_attempt(f"alpha\0{number}@x", HOME)
        throttle.record_success(throttle.start_attempt("alpha\0mallory@x", HOME))
    assert throttle.start_attempt("alpha\0another@x", HOME).unknown_address_wait


def test_unused_attempt_is_returned(throttle):
    for _ in range(5 * PAIR.attempts):
        throttle.cancel_attempt(throttle.start_attempt(ALICE, HOME))
    assert throttle.start_attempt(ALICE, HOME).unknown_address_wait == 0


def test_refused_unknown_address_uses_no_attempt(throttle):
    for number in range(ACCOUNT.attempts):
        throttle.start_attempt(ALICE, build_throttle_elsewhere(number))
    for _ in range(2 * PAIR.attempts):
        with pytest.raises(TooManyLogIns) as caught:
            throttle.refuse_unknown_address(throttle.start_attempt(ALICE, HOME))
        assert caught.value.retry_after_seconds == 60


def test_throttle_message_is_the_same_for_every_bucket(throttle):
    for _ in range(PAIR.attempts):
        attempt = throttle.start_attempt(ALICE, HOME)
    with pytest.raises(TooManyLogIns) as full_pair:
        throttle.start_attempt(ALICE, HOME)
    with pytest.raises(TooManyLogIns) as unknown_address:
        throttle.refuse_unknown_address(attempt)
    assert full_pair.value.detail == unknown_address.value.detail


def test_concurrent_attempts_are_counted_before_they_fail(throttle):
    begun = [throttle.start_attempt(ALICE, HOME) for _ in range(PAIR.attempts)]
    with pytest.raises(TooManyLogIns):
        throttle.start_attempt(ALICE, HOME)
    assert len(begun) == PAIR.attempts


def test_throttle_memory_is_bounded_and_evicts_the_least_recent(clock):
    buckets = NamedBuckets(Allowance(1, 60), clock, 100)
    assert buckets.take("victim") == 0
    for number in range(1000):
        buckets.take(str(number))
        buckets.take("victim")
    assert len(buckets) == 100
    assert buckets.take("victim") > 0


@given(st.lists(st.tuples(st.floats(0, 200), st.booleans()), max_size=60))
def test_attempts_never_exceed_the_allowance(steps):
    clock, taken_at = Clock(), []
    buckets = NamedBuckets(Allowance(3, 60), clock, 10)
    for pause, again in steps:
        clock.seconds += pause
        taken_at += [clock.seconds for _ in range(1 + again) if buckets.take("name") == 0]
    for index, at in enumerate(taken_at):
        within = [other for other in taken_at[index:] if other - at < 600]
        assert len(within) <= 3 + 10 + 1


def test_return_to_a_missing_bucket_creates_none(clock):
    buckets = NamedBuckets(PAIR, clock, 10)
    buckets.return_tokens("name")
    assert len(buckets) == 0


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("::1", "::/64"),
        ("testclient", "testclient"),
        ("", ""),
    ],
)
def test_client_network_is_the_ipv4_address_or_the_ipv6_64_prefix(address, network):
    assert find_network(address) == network


def test_clients_are_distinguished_by_network_and_user_agent():
    client, same = (Client(f"2001:db8::{number}", "curl", "r") for number in (1, 2))
    other = Client("2001:db8::1", "firefox", "r")
    assert client.hash == same.hash != other.hash
    assert len(client.hash) == 64
    assert client.hash.startswith(hash_address("2001:db8::9"))
    assert other.hash.startswith(hash_address("2001:db8::9"))
    assert not Client("2001:db9::1", "curl", "r").hash.startswith(hash_address("2001:db8::1"))


def exchange_counts(*pools):
    """Emulate Redis for one bucket of each name: add up the tokens that all pools took."""
    drained = [(pool, drained_tokens) for pool in pools for drained_tokens in pool.drain()]
    for name in {drained_tokens.bucket.name for _, drained_tokens in drained}:
        of_bucket = [
            (pool, drained_tokens) for pool, drained_tokens in drained if drained_tokens.bucket.name == name
        ]
        remaining = PAIR.attempts - sum(drained_tokens.number for _, drained_tokens in of_bucket)
        for pool, drained_tokens in of_bucket:
            pool.update_level(drained_tokens.bucket, remaining)


def test_processes_with_redis_count_guesses_together(clock):
    first, second = (NamedBuckets(PAIR, clock, 10, "pairs") for _ in range(2))
    for buckets in (first, second):
        buckets.start_recording()
        for _ in range(PAIR.attempts // 2):
            assert buckets.take(ALICE) == 0
    exchange_counts(first, second)
    assert first.take(ALICE) == second.take(ALICE) == PAIR.seconds_each
    clock.seconds += PAIR.seconds_each
    assert first.take(ALICE) == 0


def test_returned_attempts_are_shared_without_user_names(clock):
    buckets = NamedBuckets(PAIR, clock, 10, "pairs")
    buckets.start_recording()
    buckets.take(ALICE)
    buckets.return_tokens(ALICE, PAIR.attempts)
    [(bucket, number)] = buckets.drain()
    assert number == 1 - PAIR.attempts
    assert "alice" not in str(bucket.key)
    assert not buckets.has_changes
    buckets.update_level(bucket, PAIR.attempts)
    assert [buckets.take(ALICE) for _ in range(PAIR.attempts)] == [0] * PAIR.attempts
    assert buckets.take(ALICE) > 0
