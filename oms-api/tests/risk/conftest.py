"""A second process' worth of service on the same database."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from tests.support.service import Desk, serving


@pytest.fixture
def serve_another() -> Iterator[Callable[[Desk], Desk]]:
    """`serve_another(desk)` returns the same desk at another service on the same database."""
    with ExitStack() as stack:

        def serve(desk: Desk) -> Desk:
            other = stack.enter_context(serving(desk.service.database_url))
            return Desk(other, desk.tenant_id, desk.key)

        yield serve
