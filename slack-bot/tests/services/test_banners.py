"""Banners of stopped trading survive a bot that is killed."""

import time

import pytest

from app.blocks.messages import notice
from app.services.banners import recover_banners, replace_banner, show_banner
from tests.conftest import Workspace
from tests.fakes import Answer
from tests.reading import wait_until

STOPPED, RESUMED = notice("Trading is stopped"), notice("Trading is resumed")


def kill(workspace: Workspace) -> None:
    """Leave the rows to another bot."""
    workspace.bot.services.storage.database.execute("UPDATE owed_banners SET owner = 'dead'")


def rows(workspace: Workspace):
    return workspace.bot.services.storage.database.execute("SELECT key FROM owed_banners")


def posted(workspace: Workspace):
    return [(call.body["channel"], call.body["text"]) for call in workspace.slack.named("chat.postMessage")]


@pytest.fixture
def killed(workspace: Workspace, monkeypatch):
    """Provide a bot that is killed before it sends what it queues."""
    with monkeypatch.context() as patch:
        patch.setattr(workspace.bot.services.outbox, "put", lambda *_, **__: None)
        show_banner(workspace.bot.services, None, "C1", "Growth", STOPPED)
    return workspace


def test_a_queued_banner_is_posted_by_the_next_bot(killed: Workspace):
    services = killed.bot.services
    recover_banners(services, time.time())
    assert posted(killed) == [], "the bot that queued it is alive"
    kill(killed)
    for _ in range(2):
        recover_banners(services, time.time())
    wait_until(lambda: not rows(killed))
    assert posted(killed) == [("C1", "Trading is stopped")]
    assert services.banners.get("growth") is not None


def test_a_banner_that_slack_may_have_is_repeated_with_a_mark(killed: Workspace):
    killed.bot.services.storage.database.execute("UPDATE owed_banners SET state = 'posting'")
    kill(killed)
    recover_banners(killed.bot.services, time.time())
    assert "you may see it twice" in killed.slack.wait_for("chat.postMessage")[0].body["text"]


def test_a_stop_that_was_ended_meanwhile_is_not_shown(killed: Workspace):
    services = killed.bot.services
    replace_banner(services, None, "C1", "Growth", RESUMED)
    killed.slack.wait_for("chat.postMessage")
    wait_until(lambda: not rows(killed))
    kill(killed)
    recover_banners(services, time.time())
    services.outbox.close(5.0)
    assert posted(killed) == [("C1", "Trading is resumed")]


def test_an_old_banner_is_given_up(killed: Workspace):
    kill(killed)
    recover_banners(killed.bot.services, time.time() + 4000)
    assert (rows(killed), posted(killed)) == ([], [])


def test_a_banner_that_slack_limits_for_long_is_tried_again_by_the_recovery(workspace: Workspace):
    services = workspace.bot.services
    workspace.slack.script("chat.postMessage", Answer(429, headers={"Retry-After": "3600"}))
    show_banner(services, None, "C1", "Growth", STOPPED)
    workspace.slack.wait_for("chat.postMessage")
    wait_until(lambda: services.storage.database.execute("SELECT key FROM owed_banners WHERE owner = ''"))
    recover_banners(services, time.time())
    wait_until(lambda: not rows(workspace))
    assert len(posted(workspace)) == 2
