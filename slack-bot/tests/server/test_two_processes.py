"""Two processes of the bot on one PostgreSQL database. One is killed while Slack accepts a message."""

import sys
from contextlib import closing
from typing import Any

import pytest

from app.blocks.kill_switch_forms import ALL_PORTFOLIOS_VALUE, HALT
from app.forms.request_context import RequestContext
from app.storage.connection import open_database
from app.storage.storage import create_storage
from support.conditions import wait_until
from support.guarded_programs import start_guarded
from support.ports import find_free_port
from tests import factories
from tests.fakes import Response
from tests.portfolio_oms import PortfolioOms
from tests.server.bot_process import FOLDER, build_environment, post_payload, wait_for_health
from tests.storage.conftest import postgres_url, server_url  # noqa: F401 - fixtures


def start_process(slack, oms, url):
    port = find_free_port()
    values = {
        "SLACK_BOT_TOKEN": factories.TOKEN,
        "SLACK_SIGNING_SECRET": factories.SECRET,
        "SLACK_API_URL": slack.api_url,
        "OMS_API_URL": oms.url,
        "OMS_API_KEY": factories.OMS_KEY,
        "BOT_DATABASE_URL": url,
        "PORT": str(port),
    }
    program = start_guarded([sys.executable, "main.py"], cwd=FOLDER, env=build_environment(**values))
    address = f"http://127.0.0.1:{port}"
    wait_for_health(address)
    return program, address


def wait_until_sent(url, table):
    """Wait until no process has a message of the table left to send."""
    with closing(create_storage(open_database(url))) as storage:
        wait_until(lambda: storage.database.execute(f"SELECT count(*) FROM {table}") == [(0,)])  # noqa: S608


@pytest.mark.long
def test_confirmation_of_a_killed_process_is_sent_by_the_other_one_once(slack, oms, postgres_url):  # noqa: F811 - the fixture
    programs = [start_process(slack, oms, postgres_url) for _ in range(2)]
    try:
        (first, address), _ = programs
        slack.queue_responses("chat.postMessage", Response(slow=60.0))
        assert post_payload(address, factories.build_submission()) == 200
        slack.wait_for("chat.postMessage")
        first.kill()
        _, repeated = slack.wait_for("chat.postMessage", 2, 60.0)
        assert "you may see it twice" in repeated.body["text"]
        wait_until_sent(postgres_url, "owed_confirmations")
        assert len(slack.list_requests("chat.postMessage")) == 2
        assert len(oms.trades) == 1
    finally:
        for program, _ in programs:
            program.kill()
            program.wait()


@pytest.mark.long
def test_banner_of_a_killed_process_is_posted_by_the_other_one_once(slack, postgres_url):  # noqa: F811 - the fixture
    oms = PortfolioOms()
    switch: dict[str, Any] = {
        "scope": "tenant",
        "state": "HALTED",
        "unsettled": [],
        "canceled": [],
        "flattened": None,
    }
    oms.results["POST /kill-switch"] = Response(body=switch)
    programs = [start_process(slack, oms, postgres_url) for _ in range(2)]
    try:
        (first, address), _ = programs
        slack.queue_responses("chat.postMessage", Response(slow=60.0))
        entries = {"scope": ALL_PORTFOLIOS_VALUE, "mode": HALT, "reason": "Bad prices"}
        values = {
            block: {
                "entry": {"type": "plain_text_input", "value": value, "selected_option": {"value": value}}
            }
            for block, value in entries.items()
        }
        context = RequestContext("C1", "halt").dump()
        view = factories.build_view(
            callback_id="halt_form", private_metadata=context, state={"values": values}
        )
        assert post_payload(address, factories.build_interaction("view_submission", view=view)) == 200
        slack.wait_for("chat.postMessage")
        first.kill()
        _, repeated = slack.wait_for("chat.postMessage", 2, 60.0)
        assert "Trading of the whole desk is" in repeated.body["text"]
        assert "you may see it twice" in repeated.body["text"]
        wait_until_sent(postgres_url, "owed_banners")
        assert len(slack.list_requests("chat.postMessage")) == 2
        assert len(oms.changes) == 1
    finally:
        for program, _ in programs:
            program.kill()
            program.wait()
        oms.stop()
