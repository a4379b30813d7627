"""A person of another workspace in a shared channel."""

import pytest

from simulator import workspace
from tests.simulator.doubles import AVA, build_option

KIM, THEIRS, OURS = "U0KIMPARK05", workspace.NEIGHBOR.id, workspace.HOME.id
SELECT = {"type": "external_select", "action_id": "a", "min_query_length": 0}


@pytest.fixture
def form_of_kim(slack, page, bot):
    """Provide a form that is open for Kim."""
    page.send_text("/trade", channel="partners", user="kim")
    element = {"type": "plain_text_input", "action_id": "a"}
    label = {"type": "plain_text", "text": "x"}
    blocks = [
        {"type": "input", "block_id": "symbol", "label": label, "element": element},
        {"type": "input", "block_id": "portfolio", "label": label, "element": SELECT, "optional": True},
    ]
    title, submit = ({"type": "plain_text", "text": text} for text in ("Trade", "Place"))
    view = {"type": "modal", "title": title, "submit": submit, "callback_id": "trade", "blocks": blocks}
    return slack.views_open(trigger_id=bot.last.fields["trigger_id"], view=view)["view"]


@pytest.mark.parametrize(("user", "team"), [("ava", OURS), ("kim", THEIRS)])
def test_command_names_the_workspace_of_its_person(page, bot, user, team):
    page.send_text("/trade", channel="partners", user=user)
    assert bot.last.fields["team_id"] == team


def test_form_names_the_workspaces_of_the_person_and_the_app(page, bot, form_of_kim):
    assert form_of_kim["app_installed_team_id"] == OURS
    page.act("submit", "kim", values={"symbol": {"a": "AAPL"}})
    payload = bot.last.fields
    assert payload["type"] == "view_submission"
    assert payload["user"]["id"] == KIM
    assert payload["user"]["team_id"] == THEIRS
    assert payload["team"]["id"] == THEIRS
    assert payload["view"]["app_installed_team_id"] == OURS


def test_question_for_options_names_them_too(page, bot, form_of_kim):
    bot.queue_response({"options": [build_option("Growth")]})
    page.act("options", "kim", block_id="portfolio", action_id="a", query="")
    assert bot.last.fields["user"]["team_id"] == THEIRS


def test_person_of_another_workspace_is_only_in_the_shared_channel_and_their_own(page):
    channels = [
        channel["name"] for channel in page.screen("kim", "partners")["channels"] if channel["kind"] != "im"
    ]
    assert channels == ["partners", "partner-desk"]
    assert page.post("/control/say", user="kim", channel="trading", text="hello")[0] == 403


def test_message_of_a_foreign_person_names_their_workspace(page, slack):
    page.send_text("hello", channel="partners", user="kim")
    assert page.messages("ava", "partners")[-1]["team"] == THEIRS
    assert slack.users_info(user=KIM)["user"]["team_id"] == THEIRS
    assert slack.users_info(user=AVA)["user"]["team_id"] == OURS


def test_page_gets_the_workspace_of_every_person(page):
    people = {person["name"]: person["team"]["id"] for person in page.screen()["people"]}
    assert people["ben"] == OURS
    assert people["kim"] == THEIRS
