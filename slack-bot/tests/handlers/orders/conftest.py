"""A bot whose timeouts a slow machine does not exceed."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from tests.conftest import WAITS, Workspace, close_bot, create_test_bot
from tests.fake_oms import FakeOms
from tests.fakes import FakeSlack


@pytest.fixture
def workspace(slack: FakeSlack, oms: FakeOms) -> Iterator[Workspace]:
    """Provide a bot that waits for slow responses."""
    workspace = Workspace(create_test_bot(slack, oms, replace(WAITS, lookup_for=60.0)), slack, oms)
    yield workspace
    close_bot(workspace)
