"""The simulator on a free port, a bot that records requests, and Slack's own client."""

import json
import threading
from collections.abc import Iterator

import pytest
from slack_sdk import WebClient

from simulator.config import Settings
from simulator.server import Server
from tests.simulator.doubles import SECRET, TOKEN, FakeBot, Page, build_modal


@pytest.fixture
def bot() -> Iterator[FakeBot]:
    fake = FakeBot()
    yield fake
    fake.close()


@pytest.fixture
def server(bot, tmp_path) -> Iterator[Server]:
    settings = Settings(TOKEN, SECRET, bot.url, port=0, manifest=tmp_path / "manifest.json")
    subscriptions = {"bot_events": ["app_mention", "message.im", "app_home_opened", "user_change"]}
    subscriptions["bot_events"] += ["subteam_members_changed", "app_uninstalled"]
    settings.manifest.write_text(json.dumps({"settings": {"event_subscriptions": subscriptions}}))
    running = Server(settings)
    thread = threading.Thread(target=running.run)
    thread.start()
    yield running
    running.close()
    thread.join(60)


@pytest.fixture
def page(server) -> Page:
    return Page(server.url)


@pytest.fixture
def slack(server) -> WebClient:
    return WebClient(TOKEN, base_url=f"{server.url}/api/", timeout=60, retry_handlers=[])


@pytest.fixture
def trigger(page: Page, bot: FakeBot) -> str:
    """Provide a new trigger id of Ava."""
    return page.trigger(bot)


@pytest.fixture
def open_form(slack, page, bot):
    """Open a form with these blocks for Ava."""

    def open_(*blocks, **more):
        return slack.views_open(trigger_id=page.trigger(bot), view=build_modal(*blocks, **more))["view"]

    return open_
