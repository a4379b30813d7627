"""Rate limits: a minute's burst, then a steady rate, for each key, person, tenant and address."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.errors import TooMany
from app.rate_limit import BucketLimit, OverLimit, Quotas, RateLimiter
from app.rate_limit import buckets as buckets_module


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock():
    return Clock()


def build_limiter(clock, caller, tenant=0, address=0):
    return RateLimiter(Quotas(caller, tenant, address), clock)


def is_passing(limiter, caller="a", tenant_id=1, address="192.0.2.1"):
    try:
        limiter.take(caller, tenant_id, address)
    except TooMany:
        return False
    return True


def get_refusal(limiter, *caller):
    with pytest.raises(TooMany) as caught:
        limiter.take(*(caller or ("a", 1, "192.0.2.1")))
    return caught.value


def test_burst_of_one_minute_passes_and_no_more(clock):
    limiter = build_limiter(clock, 60)
    assert [is_passing(limiter) for _ in range(62)] == [True] * 60 + [False] * 2


def test_tokens_refill_at_a_steady_rate(clock):
    limiter = build_limiter(clock, 60)
    while is_passing(limiter):
        pass
    for _ in range(5):
        clock.now += 1
        assert [is_passing(limiter), is_passing(limiter)] == [True, False]


def test_retry_after_is_sufficient(clock):
    limiter = build_limiter(clock, 2)
    assert is_passing(limiter)
    assert is_passing(limiter)
    assert get_refusal(limiter).retry_after_seconds == 30
    clock.now += 30
    assert is_passing(limiter)


def test_rejected_request_uses_no_token(clock):
    limiter = build_limiter(clock, 1)
    assert is_passing(limiter)
    for _ in range(100):
        assert not is_passing(limiter)
    clock.now += 60
    assert is_passing(limiter)


def test_callers_have_separate_buckets(clock):
    limiter = build_limiter(clock, 1)
    assert [is_passing(limiter, caller) for caller in "aabb"] == [True, False, True, False]


def test_limit_of_zero_means_unlimited(clock):
    limiter = build_limiter(clock, 0, 1, 1)
    assert not limiter.is_on
    assert [limiter.take("a", 1, "b") for _ in range(10_000)] == [None] * 10_000
    limiter.charge_address("b")
    limiter.check_address("b")


def test_idle_bucket_is_capped_at_one_minute(clock):
    limiter = build_limiter(clock, 3)
    assert is_passing(limiter)
    clock.now += 86_400
    assert [is_passing(limiter) for _ in range(4)] == [True] * 3 + [False]


def test_callers_of_a_tenant_share_its_limit(clock):
    limiter = build_limiter(clock, 10, tenant=3)
    assert [is_passing(limiter, caller) for caller in "abcd"] == [True] * 3 + [False]
    assert is_passing(limiter, "e", tenant_id=2)


def test_callers_at_one_address_share_its_limit(clock):
    limiter = build_limiter(clock, 10, address=3)
    assert [is_passing(limiter, str(number), number) for number in range(4)] == [True] * 3 + [False]
    assert is_passing(limiter, "e", 9, "192.0.2.2")


def test_tenant_and_address_limits_default_to_10_and_20_times(clock):
    limiter = RateLimiter(Quotas(1), clock)
    assert [is_passing(limiter, str(number)) for number in range(11)] == [True] * 10 + [False]
    other_results = [is_passing(limiter, str(number), tenant_id=number) for number in range(100, 111)]
    assert other_results == [True] * 10 + [False]  # twenty from this address


def test_rejection_by_one_limit_uses_no_token_of_the_others(clock):
    limiter = build_limiter(clock, 2, tenant=10, address=10)
    for _ in range(100):
        is_passing(limiter)
    assert [is_passing(limiter, str(number)) for number in range(9)] == [True] * 8 + [False]


@pytest.mark.parametrize(
    ("quotas", "name", "limit_text"),
    [
        ((1, 9, 9), "default", "with this key"),
        ((9, 1, 9), "tenant", "this tenant"),
        ((9, 9, 1), "address", "this network address"),
        ((2, 1, 2), "tenant", "this tenant"),
    ],
)
def test_rejection_names_the_limit(clock, quotas, name, limit_text):
    limiter = RateLimiter(Quotas(*quotas), clock)
    assert is_passing(limiter)
    refusal = get_refusal(limiter)
    assert limit_text in refusal.detail
    assert refusal.headers["ratelimit-policy"] == f'"{name}";q=1;w=60'
    assert refusal.headers["ratelimit"] == f'"{name}";r=0;t=60'
    assert refusal.retry_after_seconds == 60


def test_rejection_by_several_limits_names_the_longest_wait(clock):
    limiter = build_limiter(clock, 60, tenant=1)
    assert is_passing(limiter)
    while is_passing(limiter, tenant_id=2):
        pass
    assert "tenant" in get_refusal(limiter).detail


def test_header_shows_remaining_requests_and_reset_time(clock):
    limiter = RateLimiter(Quotas(600), clock)
    rate = limiter.take("a", 1, "192.0.2.1")
    assert rate is not None
    assert rate.headers == (
        (b"ratelimit-policy", b'"default";q=600;w=60'),
        (b"ratelimit", b'"default";r=599;t=1'),
    )


def test_header_shows_the_tenant_limit_if_it_is_smaller(clock):
    limiter = build_limiter(clock, 10, tenant=12)
    headers = [dict(limiter.take(caller, 1, "192.0.2.1").headers)[b"ratelimit"] for caller in "aaab"]
    assert headers[2:] == [b'"default";r=7;t=6', b'"tenant";r=8;t=5']


def test_header_does_not_reveal_other_callers_at_the_address(clock):
    limiter = build_limiter(clock, 10, tenant=20, address=11)
    for _ in range(9):
        limiter.take("a", 1, "192.0.2.1")
    assert dict(limiter.take("b", 2, "192.0.2.1").headers) == {
        b"ratelimit-policy": b'"default";q=10;w=60',
        b"ratelimit": b'"default";r=9;t=6',
    }


def test_failed_authentications_count_towards_the_address_limit(clock):
    limiter = build_limiter(clock, 10, address=3)
    for _ in range(3):
        limiter.check_address("192.0.2.1")
        limiter.charge_address("192.0.2.1")
    with pytest.raises(TooMany) as caught:
        limiter.check_address("192.0.2.1")
    assert caught.value.retry_after_seconds == 20
    assert not is_passing(limiter)
    limiter.check_address("192.0.2.2")
    clock.now += 20
    limiter.check_address("192.0.2.1")


def test_concurrent_failures_make_a_bounded_debt(clock):
    limiter = build_limiter(clock, 10, address=3)
    for _ in range(1000):
        limiter.charge_address("192.0.2.1")
    clock.now += 79
    with pytest.raises(TooMany) as caught:
        limiter.check_address("192.0.2.1")
    assert caught.value.retry_after_seconds == 1
    clock.now += 1
    limiter.check_address("192.0.2.1")


def test_ipv6_site_counts_as_one_address(clock):
    limiter = build_limiter(clock, 10, address=2)
    sent = [is_passing(limiter, "a", 1, f"2001:db8:0:1::{number:x}") for number in range(3)]
    assert sent == [True, True, False]
    assert is_passing(limiter, "a", 1, "2001:db8:0:2::1")
    assert is_passing(limiter, "a", 1, "not:an:address")


def test_many_callers_neither_exhaust_memory_nor_reset_active_buckets(clock, monkeypatch):
    monkeypatch.setattr(buckets_module, "MAX_BUCKETS", 10)
    limiter = build_limiter(clock, 1)
    assert is_passing(limiter, "busy")
    clock.now += 10
    for number in range(9):
        assert is_passing(limiter, str(number))
    clock.now += 50
    assert is_passing(limiter, "busy")
    clock.now += 10  # the others are full again: they are forgotten first
    assert all(is_passing(limiter, f"new {number}") for number in range(5))
    assert not is_passing(limiter, "busy")
    assert all(is_passing(limiter, f"flood {number}") for number in range(100))
    assert len(limiter._callers._buckets) <= 10


@given(st.integers(1, 1000), st.lists(st.floats(0, 10), max_size=200))
def test_passed_requests_never_exceed_capacity_and_refill(per_minute, pauses):
    clock = Clock()
    limiter = build_limiter(clock, per_minute)
    began, passed = clock.now, 0
    for pause in pauses:
        clock.now += pause
        passed += is_passing(limiter)
        assert passed <= per_minute + (clock.now - began) * per_minute / 60 + 1e-6


@given(st.integers(1, 100), st.lists(st.floats(0, 10), min_size=1, max_size=50))
def test_reported_remaining_requests_pass_and_more_after_the_reset(per_minute, pauses):
    clock = Clock()
    limiter = build_limiter(clock, per_minute)
    for pause in pauses:
        clock.now += pause
        is_passing(limiter)
    clock.now += 60 / per_minute + 1e-6
    rate = limiter.take("a", 1, "192.0.2.1")
    assert [is_passing(limiter) for _ in range(rate.remaining + 1)] == [True] * rate.remaining + [False]
    clock.now += rate.more_after_seconds + 1e-6
    assert is_passing(limiter)


def test_single_limit_counts_each_key_separately():
    limit = BucketLimit("newcomers", "Too many are new.", 2)
    for _ in range(2):
        limit.take("one", 0.0)
    limit.take("another", 0.0)
    with pytest.raises(OverLimit, match="Too many are new"):
        limit.take("one", 1.0)
    limit.take("one", 30.0)
