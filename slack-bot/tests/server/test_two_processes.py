"""Two processes of the bot on one PostgreSQL database. One is killed while Slack accepts a message."""

import socket
import sys
import time

import pytest

from support.guarded_programs import start_guarded
from tests import factories
from tests.fakes import Answer
from tests.server.test_program import FOLDER, environment, post, wait_for_health
from tests.storage.conftest import postgres_url, server_url  # noqa: F401 - fixtures


def start(slack, oms, url):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    values = {
        "SLACK_BOT_TOKEN": factories.TOKEN,
        "SLACK_SIGNING_SECRET": factories.SECRET,
        "SLACK_API_URL": slack.api_url,
        "OMS_API_URL": oms.url,
        "OMS_API_KEY": factories.OMS_KEY,
        "BOT_DATABASE_URL": url,
        "PORT": str(port),
    }
    program = start_guarded([sys.executable, "main.py"], cwd=FOLDER, env=environment(**values))
    address = f"http://127.0.0.1:{port}"
    wait_for_health(address)
    return program, address


@pytest.mark.long
def test_the_confirmation_of_a_killed_process_is_sent_by_the_other_one_once(slack, oms, postgres_url):  # noqa: F811 - the fixture
    programs = [start(slack, oms, postgres_url) for _ in range(2)]
    try:
        (first, address), _ = programs
        slack.script("chat.postMessage", Answer(slow=60.0))
        assert post(address, factories.submission()) == 200
        slack.wait_for("chat.postMessage")
        first.kill()
        _, repeated = slack.wait_for("chat.postMessage", 2, 60.0)
        assert "you may see it twice" in repeated.body["text"]
        time.sleep(6)  # the next round of the recovery
        assert len(slack.named("chat.postMessage")) == 2
        assert len(oms.trades) == 1
    finally:
        for program, _ in programs:
            program.kill()
            program.wait()
