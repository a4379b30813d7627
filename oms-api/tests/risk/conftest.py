"""A second instance of the service on the same database."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from tests.support.service import ApiClient, run_service


@pytest.fixture
def serve_another() -> Iterator[Callable[[ApiClient], ApiClient]]:
    """`serve_another(desk)` returns the same desk at another service on the same database."""
    with ExitStack() as stack:

        def serve(api: ApiClient) -> ApiClient:
            other = stack.enter_context(run_service(api.service.database_url))
            return ApiClient(other, api.tenant_id, api.key)

        yield serve
