"""A market for orders: a desk of its own at which AAPL is quoted."""

import pytest


@pytest.fixture
def market(desk):
    """A desk at which AAPL is quoted 99 to 101, last 100."""
    desk.quote("AAPL", "99", "101", "100")
    return desk
