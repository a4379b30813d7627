import pytest

from tests.simulator.doubles import TRADING, build_button

DEAD = 404


@pytest.fixture
def respond(page, bot):
    """Call the response URL of a command that Ava typed."""
    page.send_text("/trade")
    path = bot.last.fields["response_url"].removeprefix(page.url)
    return lambda **body: page.post(path, **body)


def test_response_is_private_by_default(page, respond):
    assert respond(text="one") == (200, "ok")
    respond(text="two", response_type="in_channel")
    assert page.texts("ava") == ["one", "two"]
    assert page.texts("ben") == ["two"]


def test_response_url_works_five_times(respond):
    assert [respond(text=str(number))[0] for number in range(6)] == [200] * 5 + [DEAD]
    assert respond(text="x")[1] == "used_url"


def test_response_url_lives_thirty_minutes(page, respond):
    page.control("clock", advance_seconds=29 * 60)
    assert respond(text="x")[0] == 200
    page.control("clock", advance_seconds=2 * 60)
    assert respond(text="x") == (DEAD, "expired_url")


def test_unknown_response_url_is_refused(page):
    assert page.post("/response/T1/1/x", text="x")[0] == DEAD


@pytest.mark.parametrize(
    "body", [{}, {"text": "x", "blocks": [{"type": "carpet"}]}, {"text": "x", "response_type": "loud"}]
)
def test_invalid_response_is_refused_and_not_counted(respond, body):
    assert respond(**body)[0] == 400
    assert [respond(text="x")[0] for _ in range(5)] == [200] * 5


def test_message_that_was_clicked_is_replaced_or_deleted(page, bot, slack):
    acts = [{"type": "actions", "elements": [build_button()]}]
    ts = slack.chat_postMessage(channel=TRADING, text="ask", blocks=acts)["ts"]
    page.act("use", channel=TRADING, ts=ts, action_id="go")
    path = bot.last.fields["response_url"].removeprefix(page.url)
    page.post(path, replace_original=True, text="answered")
    assert [(message["ts"], message["text"]) for message in page.messages()] == [(ts, "answered")]
    page.post(path, delete_original=True)
    assert page.messages() == []


def test_response_url_reaches_channels_without_the_bot(page, bot):
    page.send_text("/trade", channel="random-private")
    path = bot.last.fields["response_url"].removeprefix(page.url)
    assert page.post(path, text="hello")[0] == 200
    assert page.texts("ava", "random-private") == ["hello"]
