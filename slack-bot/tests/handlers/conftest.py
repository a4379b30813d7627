"""Fixtures: a workspace whose OMS has portfolios."""

from collections.abc import Iterator

import pytest

from tests.conftest import SHORT_WAITS, close_bot, create_test_bot
from tests.fakes import FakeSlack
from tests.handlers.portfolio_workspace import PortfolioWorkspace
from tests.portfolio_oms import PortfolioOms


@pytest.fixture
def portfolio_oms() -> Iterator[PortfolioOms]:
    server = PortfolioOms()
    yield server
    server.stop()


@pytest.fixture
def trading(slack: FakeSlack, portfolio_oms: PortfolioOms) -> Iterator[PortfolioWorkspace]:
    workspace = PortfolioWorkspace(create_test_bot(slack, portfolio_oms), slack, portfolio_oms)
    yield workspace
    close_bot(workspace)


@pytest.fixture
def hasty_trading(slack: FakeSlack, portfolio_oms: PortfolioOms) -> Iterator[PortfolioWorkspace]:
    """Provide a bot that responds to Slack before a slow OMS responds."""
    bot = create_test_bot(slack, portfolio_oms, SHORT_WAITS)
    workspace = PortfolioWorkspace(bot, slack, portfolio_oms)
    yield workspace
    close_bot(workspace)
