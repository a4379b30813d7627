"""Databases that contain audit logs."""

from collections.abc import Iterator

import pytest
from sqlalchemy import Engine

from tests.audit.databases import prepare_engine


@pytest.fixture
def audited_engine(database_url: str) -> Iterator[Engine]:
    """Provide the service's kind of engine, with row-level security, on a database with three tenants."""
    with prepare_engine(database_url) as engine:
        yield engine
