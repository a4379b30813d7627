"""A complete bot with its Flask app, between a fake Slack and a fake OMS."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import pytest
from werkzeug.test import TestResponse

from app.delivery.installation import Installation
from app.delivery.send_queue import SendQueue
from app.delivery.slack_api import SlackApi
from app.oms_client import OmsClient
from app.server.build import Bot, create_bot
from app.services.dependencies import Services, Waits
from app.services.state.workers import Workers
from app.storage.storage import Storage, create_storage
from support.conditions import WAIT_SECONDS
from tests import factories
from tests.fake_oms import FakeOms
from tests.fakes import FakeSlack

# No slow machine exceeds the timeouts.
WAITS = Waits(
    submission=30.0, suggestions=30.0, redraw_after=0.0, typing_pause=0.1, lookup_every=0.02, lookup_for=0.9
)
SHORT_WAITS = replace(WAITS, submission=0.1, suggestions=0.1)  # if the response never comes in time


@dataclass
class Workspace:
    """A fake Slack, a fake OMS and a bot."""

    bot: Bot
    slack: FakeSlack
    oms: FakeOms

    def deliver(self, payload: dict[str, Any], path: str = "") -> TestResponse:
        """Send a signed request of Slack and return the response."""
        body = factories.build_form_body(payload)
        where = path or ("/slack/commands" if "command" in payload else "/slack/interactions")
        return self.bot.web.test_client().post(where, data=body, headers=factories.sign_headers(body))

    def type(self, text: str, name: str = "/trade", **changes: Any) -> TestResponse:
        return self.deliver(factories.build_command(text, name, self.slack.response_url, **changes))

    def submit(
        self, values: dict[str, Any] | None = None, by: str = "U1", team: str = "T1", **view_changes: Any
    ) -> Any:
        payload = factories.build_submission(values, **view_changes) | {"user": {"id": by, "team_id": team}}
        return self.deliver(payload).get_json(silent=True)

    def restarted(self) -> "Workspace":
        """Return the same workspace with a restarted bot."""
        self.bot.services.stop(1.0)
        return Workspace(create_test_bot(self.slack, self.oms), self.slack, self.oms)


def create_test_bot(
    slack: FakeSlack,
    oms: FakeOms,
    waits: Waits = WAITS,
    storage: Storage | None = None,
    changes: dict[str, str] | None = None,
    **times: float,
) -> Bot:
    settings = factories.build_settings(slack.api_url, oms.url, **(changes or {}))
    slack_api = SlackApi(settings, timeout_seconds=60)
    slack_api.installation.remember(Installation("T1"))
    workspace = Services(
        oms=OmsClient(settings, write_seconds=times.get("write", 30.0), read_seconds=times.get("read", 30.0)),
        slack=slack_api,
        send_queue=SendQueue(pace_seconds=times.get("pace", 0.0)),
        waits=waits,
        storage=storage or create_storage(),
    )
    workspace.slack_settings._loaded_at = time.monotonic()  # by the thread that loads them in the background
    return create_bot(settings, workspace)


@pytest.fixture(autouse=True)
def draw_no_images(monkeypatch):
    """Show charts as blocks, even where the extra `charts` is installed."""
    monkeypatch.setattr("app.services.queries.chart_images.has_matplotlib", lambda: False)


@pytest.fixture
def slack() -> Iterator[FakeSlack]:
    server = FakeSlack()
    yield server
    server.stop()


@pytest.fixture
def oms() -> Iterator[FakeOms]:
    server = FakeOms()
    yield server
    server.stop()


@pytest.fixture
def create_workspace(slack: FakeSlack, oms: FakeOms) -> Iterator[Callable[..., Workspace]]:
    """`create_workspace(waits, read, write)` returns a workspace whose bot has these timeouts."""
    workspaces = []

    def create(waits: Waits = WAITS, read: float = 30.0, write: float = 30.0) -> Workspace:
        bot = create_test_bot(slack, oms, waits, read=read, write=write)
        workspaces.append(Workspace(bot, slack, oms))
        return workspaces[-1]

    yield create
    for workspace in workspaces:
        close_bot(workspace)


@pytest.fixture
def workspace(create_workspace: Callable[..., Workspace]) -> Workspace:
    return create_workspace()


@pytest.fixture
def hasty_workspace(create_workspace: Callable[..., Workspace]) -> Workspace:
    """Provide a bot that responds to Slack before a slow OMS responds."""
    return create_workspace(SHORT_WAITS)


def finish_work(bot: Bot) -> None:
    """Return after the bot has done all the work that it has begun or queued. It accepts no more work.

    After it, a test can assert that a message was not sent.
    """
    services = bot.services
    pools = [pool for pool in vars(services).values() if isinstance(pool, Workers)]
    for pool in pools:  # a pool begins its work in order, and cancels what it has not begun when it stops
        pool.submit("last work", lambda: None).result(WAIT_SECONDS)
    services.stop_workers(wait=True)
    assert services.send_queue.close(WAIT_SECONDS), "a message is still queued"
    assert services.overview_queue.close(WAIT_SECONDS), "an overview is still queued"


def close_bot(workspace: Workspace) -> None:
    workspace.slack.released.set()
    workspace.oms.released.set()
    workspace.bot.services.stop_workers(wait=True)  # otherwise a new connection could outlive its pool
    workspace.bot.services.stop(1.0)
