"""Databases with three tenants, with the scope that the service sets."""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Engine, text

from app.database import connect_engine, unit_of_work

_TENANT = text("INSERT INTO tenants (id, slug, name, created_at) VALUES (:id, :slug, 'A desk', :at)")


@contextmanager
def prepare_engine(url: str) -> Iterator[Engine]:
    """Yield an engine behind the wall between tenants; beside the first tenant it makes two more."""
    engine = connect_engine(url, tenant_scoped=True)
    with unit_of_work(engine) as connection:
        for tenant_id in (2, 3):
            row = {"id": tenant_id, "slug": f"desk-{tenant_id}", "at": "2026-01-01T00:00:00.000000Z"}
            connection.execute(_TENANT, row)
    yield engine
    engine.dispose()
