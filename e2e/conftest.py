"""Fixtures: a browser, databases, and a deployment of the whole product."""

import os
import time
from datetime import UTC, datetime

import httpx
import pytest
from playwright.sync_api import expect, sync_playwright

import browser as browsers
from deployment import LOOPBACK, build_sqlite_url, run_deployment
from slack_page import SlackPage
from support.any_database import deselect_repeated
from support.clock import compute_wait_for_next_day
from support.postgres import Databases, PostgresServer

TIMEOUT_MILLISECONDS = 60_000  # for a slow machine
expect.set_options(timeout=TIMEOUT_MILLISECONDS)
DAY_END_SECONDS = 60.0  # in which a test that places day orders may not begin


def pytest_collection_modifyitems(config, items):
    """Deselect the PostgreSQL half of tests marked `any_database`, unless LONG_TESTS is set."""
    if not os.environ.get("LONG_TESTS"):
        deselect_repeated(config, items, "deployment")


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup():
    """Begin no test at the end of a UTC day: its day orders would expire."""
    time.sleep(compute_wait_for_next_day(datetime.now(UTC), DAY_END_SECONDS))


@pytest.fixture(scope="session")
def chromium():
    with sync_playwright() as playwright:
        path = browsers.find_executable(playwright)
        if path is None:
            (pytest.fail if browsers.is_ci() else pytest.skip)(browsers.NO_BROWSER)
        chromium = playwright.chromium.launch(executable_path=path, args=browsers.FLAGS)
        yield chromium
        chromium.close()


@pytest.fixture(scope="session")
def postgres_databases():
    """Provide new databases on the server of TEST_DATABASE_URL, or on a temporary server."""
    existing_url = os.environ.get("TEST_DATABASE_URL")
    server = None if existing_url else PostgresServer()
    if server:
        server.start()
    databases = Databases(server.url if server else existing_url or "")
    yield databases
    databases.drop_all()
    if server:
        server.remove()


@pytest.fixture(scope="session")
def postgres_url(postgres_databases):
    """Provide a new database."""
    return postgres_databases.new()


@pytest.fixture(scope="session", params=["sqlite", "postgresql"])
def deployment(request, tmp_path_factory):
    """Provide the running product (OMS, bot and simulator), once on each kind of database."""
    if request.param == "postgresql":
        url = request.getfixturevalue("postgres_url")
    else:
        url = build_sqlite_url(tmp_path_factory.mktemp("desk"))
    bot_database = (
        tmp_path_factory.mktemp("bot") / "bot.db"
    )  # a file, so that an operator can connect workspaces
    with run_deployment(url, BOT_DATABASE_URL=f"sqlite:///{bot_database}") as deployment:
        yield deployment


@pytest.fixture
def slack(chromium, deployment):
    """Provide the simulator's page after a reset. An error in its script fails the test."""
    httpx.post(f"{deployment.url('simulator')}/control/reset", json={}, **LOOPBACK).raise_for_status()
    context = chromium.new_context(viewport={"width": 1280, "height": 800})
    page = context.new_page()
    errors = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.set_default_timeout(TIMEOUT_MILLISECONDS)
    page.goto(deployment.url("simulator"))
    before = len(deployment.log)
    yield SlackPage(page)
    context.close()
    print("\n".join(deployment.log[before:]))  # pytest shows this if the test fails
    assert errors == []
