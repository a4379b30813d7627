"""Several workspaces with the app, and what an administrator changes: people, user groups, installations."""

import pytest
from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError

from simulator import workspace
from tests.simulator.doubles import AVA, BEN, TRADING, build_section
from tests.simulator.pages import get_page

PARTNER = workspace.NEIGHBOR.id
KIM, THEIR_CHANNEL = "U0KIMPARK05", "C0PARTDESK1"


@pytest.fixture
def install(server):
    """Install the app in the second workspace, and return a client with its token."""

    def consent():
        _, page = get_page(f"{server.url}/oauth/v2/authorize?scope=commands&state=s&team={PARTNER}")
        assert "wants access to Partner Fund" in page
        response, _ = get_page(f"{server.url}/oauth/v2/authorize/allow?scope=commands&state=s&team={PARTNER}")
        code = response.headers["Location"].partition("code=")[2].partition("&")[0]
        client = WebClient(base_url=f"{server.url}/api/", timeout=60, retry_handlers=[])
        granted = client.oauth_v2_access(client_id="1", client_secret="2", code=code)
        assert granted["team"] == {"id": PARTNER, "name": "Partner Fund"}
        return WebClient(granted["access_token"], base_url=f"{server.url}/api/", retry_handlers=[])

    return consent


def test_each_token_belongs_to_its_workspace_and_hides_the_channels_of_the_other(slack, install):
    partner_client = install()
    assert slack.auth_test()["team_id"] == workspace.TEAM_ID
    assert partner_client.auth_test()["team_id"] == PARTNER
    partner_client.chat_postMessage(channel=THEIR_CHANNEL, text="hello")
    slack.chat_postMessage(channel=TRADING, text="hello")
    for client, channel in ((partner_client, TRADING), (slack, THEIR_CHANNEL)):
        with pytest.raises(SlackApiError, match="channel_not_found"):
            client.chat_postMessage(channel=channel, text="hello")
    members = {member["id"] for member in partner_client.users_list()["members"]}
    assert members == {KIM}


def test_command_in_the_other_workspace_needs_the_app_there(page, bot, install):
    assert page.send_text("/trade", channel="partner-desk", user="kim")["outcome"] == "failed"
    partner_client = install()
    page.send_text("/trade", channel="partner-desk", user="kim")
    command = bot.last.fields
    assert command["team_id"] == PARTNER
    assert command["channel_id"] == THEIR_CHANNEL
    blocks = [build_section("x")]
    title = {"type": "plain_text", "text": "Trade"}
    view = {"type": "modal", "title": title, "blocks": blocks}
    opened = partner_client.views_open(trigger_id=command["trigger_id"], view=view)["view"]
    assert opened["app_installed_team_id"] == PARTNER


def test_events_name_the_workspace_and_an_uninstall_revokes_the_token(page, bot, install):
    partner_client = install()
    page.act("home", "kim")
    assert bot.wait_for(1)[-1].fields["team_id"] == PARTNER
    page.control("uninstall", team=PARTNER)
    event = bot.wait_for(2)[-1].fields
    assert event["event"]["type"] == "app_uninstalled"
    assert event["team_id"] == PARTNER
    with pytest.raises(SlackApiError, match="account_inactive"):
        partner_client.auth_test()
    assert page.post("/control/uninstall", team=workspace.TEAM_ID)[0] == 422


def test_deactivated_user_is_reported_to_the_bot_and_cannot_act(page, bot, slack):
    page.control("person", user="ben", active=False)
    event = bot.wait_for(1)[-1].fields["event"]
    assert event["type"] == "user_change"
    assert event["user"]["id"] == BEN
    assert event["user"]["deleted"] is True
    assert page.post("/control/say", user="ben", channel="trading", text="hello")[0] == 403
    assert [member["id"] for member in slack.users_list()["members"] if member["deleted"]] == [BEN]
    page.control("person", user="ben", active=True)
    assert bot.wait_for(2)[-1].fields["event"]["user"]["deleted"] is False
    assert page.send_text("hello", user="ben")["outcome"] == "said"


def test_change_of_a_user_group_is_reported_to_the_bot(page, bot, slack):
    page.control("group", group="watchers", user="ava", member=True)
    event = bot.wait_for(1)[-1].fields["event"]
    assert event["type"] == "subteam_members_changed"
    assert event["added_users"] == [AVA]
    assert AVA in slack.usergroups_users_list(usergroup=event["subteam_id"])["users"]
    page.control("group", group="watchers", user="ava", member=False)
    assert bot.wait_for(2)[-1].fields["event"]["removed_users"] == [AVA]
    assert page.post("/control/group", group="nobody", user="ava")[0] == 404


def test_history_of_a_direct_message_has_the_metadata(slack):
    metadata = {"event_type": "order_message", "event_payload": {"order_id": "O1"}}
    direct = slack.conversations_open(users=[AVA])["channel"]["id"]
    slack.chat_postMessage(channel=direct, text="hello", metadata=metadata)
    (posted,) = slack.conversations_history(channel=direct, include_all_metadata=True)["messages"]
    assert posted["text"] == "hello"
    assert posted["metadata"] == metadata
    with pytest.raises(SlackApiError, match="missing_scope"):
        slack.conversations_history(channel=TRADING)
