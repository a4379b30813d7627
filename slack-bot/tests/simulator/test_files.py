import pytest
from slack_sdk.errors import SlackApiError

from tests.simulator.doubles import AVA, TRADING

PNG = b"\x89PNG\r\n\x1a\n and the rest"


def upload_file(slack, page, name="trades.csv", content=b"a,b\r\n1,2\r\n"):
    """Upload a file, and return its id."""
    body = slack.files_getUploadURLExternal(filename=name, length=len(content))
    path = body["upload_url"].removeprefix(page.url)
    assert page.fetch(path, content)[0] == 200
    return body["file_id"]


def test_file_is_uploaded_shared_and_downloaded(slack, page):
    file_id = upload_file(slack, page)
    channel = slack.conversations_open(users=[AVA])["channel"]["id"]
    slack.files_completeUploadExternal(
        files=[{"id": file_id, "title": "Trades"}], channel_id=channel, initial_comment="Here they are"
    )
    message = page.get(f"/control/state?user=ava&channel={channel}")[1]["messages"][-1]
    assert message["text"] == "Here they are"
    (file,) = message["files"]
    assert file["name"] == "trades.csv"
    assert file["title"] == "Trades"
    assert file["size"] == 10
    assert file["mimetype"] == "text/csv"
    assert page.fetch(f"/files/{file_id}") == (200, b"a,b\r\n1,2\r\n")


def test_uploaded_image_is_shown_by_a_block(slack, page):
    file_id = upload_file(slack, page, "equity.png", PNG)
    block = {"type": "image", "slack_file": {"id": file_id}, "alt_text": "Equity"}
    with pytest.raises(SlackApiError, match="invalid_blocks"):
        slack.chat_postMessage(channel=TRADING, text="Equity", blocks=[block])  # it is not complete
    slack.files_completeUploadExternal(files=[{"id": file_id, "title": "Equity"}])
    assert slack.chat_postMessage(channel=TRADING, text="Equity", blocks=[block])["ok"]
    assert page.fetch(f"/files/{file_id}") == (200, PNG)


@pytest.mark.parametrize(("name", "length"), [("a.csv", 0), ("a.csv", 20_000_001), ("", 5)])
def test_file_needs_a_name_and_a_length(slack, name, length):
    with pytest.raises(SlackApiError, match="invalid_arguments"):
        slack.files_getUploadURLExternal(filename=name, length=length)


def test_content_of_another_length_is_refused(slack, page):
    body = slack.files_getUploadURLExternal(filename="a.csv", length=3)
    path = body["upload_url"].removeprefix(page.url)
    assert page.fetch(path, b"four")[0] == 400
    with pytest.raises(SlackApiError, match="file_not_found"):
        slack.files_completeUploadExternal(files=[{"id": body["file_id"], "title": "a"}])
    assert page.fetch(f"/files/{body['file_id']}")[0] == 404
