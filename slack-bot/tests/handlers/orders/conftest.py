"""A bot whose timeouts a slow machine does not exceed."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from tests.conftest import SHORT, Workspace, close_bot, create_test_bot
from tests.fake_oms import FakeOms
from tests.fakes import FakeSlack


@pytest.fixture
def workspace(slack: FakeSlack, oms: FakeOms) -> Iterator[Workspace]:
    """Provide a bot that waits for slow answers."""
    waits = replace(SHORT, submission=20.0, suggestions=20.0, lookup_for=20.0)
    workspace = Workspace(create_test_bot(slack, oms, waits, read=20.0, write=20.0), slack, oms)
    yield workspace
    close_bot(workspace)
