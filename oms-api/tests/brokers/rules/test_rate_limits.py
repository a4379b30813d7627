"""Requests come back evenly, or at midnight."""

from datetime import UTC, datetime, timedelta

from app.brokers.rules.rate_limits import RateLimit, refill

NOW = datetime(2026, 11, 30, 18, 29, 59, tzinfo=UTC)  # a second before midnight in India


def test_requests_refill_evenly_up_to_the_capacity():
    limit = RateLimit(200, 60)
    assert refill(limit, 10, NOW, NOW + timedelta(seconds=3)) == 20
    assert refill(limit, 10, NOW, NOW + timedelta(minutes=5)) == 200
    assert refill(limit, 10, NOW, NOW - timedelta(seconds=3)) == 10


def test_daily_requests_refill_at_midnight():
    limit = RateLimit(5_000, 86_400, "Asia/Kolkata")
    assert refill(limit, 3, NOW - timedelta(hours=9), NOW) == 3
    assert refill(limit, 3, NOW, NOW + timedelta(seconds=1)) == 5_000
