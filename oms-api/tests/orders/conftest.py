"""A tenant for tests of orders, with a quote of AAPL."""

import pytest

from tests.orders.writer_harness import WriterHarness
from tests.support.decisions import forbid_statements_while_deciding  # noqa: F401  # for each test


@pytest.fixture
def market(api):
    """Provide a desk with an empty portfolio Growth, at which AAPL is quoted 99 to 101, last 100."""
    api.set_quote("AAPL", "99", "101", "100")
    return api.open_portfolio()


@pytest.fixture
def harness(engine):
    """Provide the handler by itself, with AAPL quoted 99 to 101."""
    writer = WriterHarness(engine)
    writer.publish_quote("99", "101", "100")
    return writer
