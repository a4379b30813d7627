"""The consent page of the simulator, and the exchange of its code."""

import re
from urllib.parse import parse_qs, urlsplit

import pytest
from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError

from tests.simulator.doubles import TOKEN
from tests.simulator.pages import get_page


def test_consent_gives_a_code_that_is_exchanged_once_for_the_bot_token(server, bot):
    _, page = get_page(f"{server.url}/oauth/v2/authorize?client_id=1.2&scope=commands,chat:write&state=s%26t")
    assert "<li>chat:write</li>" in page
    link = re.findall('id=allow href="([^"]+)"', page)[0].replace("&amp;", "&")
    response, _ = get_page(f"{server.url}{link}")
    back = urlsplit(response.headers["Location"])
    assert f"{back.scheme}://{back.netloc}{back.path}" == f"{bot.url}/slack/oauth_redirect"
    arguments = parse_qs(back.query)
    assert arguments["state"] == ["s&t"]
    client = WebClient(base_url=f"{server.url}/api/", timeout=60, retry_handlers=[])
    exchange = {"client_id": "1.2", "client_secret": "secret", "code": arguments["code"][0]}
    granted = client.oauth_v2_access(**exchange)
    assert granted["access_token"] == TOKEN
    assert granted["scope"] == "commands,chat:write"
    assert granted["team"]["id"].startswith("T")
    with pytest.raises(SlackApiError, match="invalid_code"):
        client.oauth_v2_access(**exchange)


def test_declining_leads_back_without_a_code(server, bot):
    _, page = get_page(f"{server.url}/oauth/v2/authorize?scope=%3Cscript%3E&state=s1")
    assert "<script>" not in page
    link = re.findall('id=cancel href="([^"]+)"', page)[0].replace("&amp;", "&")
    assert link == f"{bot.url}/slack/oauth_redirect?error=access_denied&state=s1"
