"""Upload files to Slack, in the three steps that Slack requires since `files.upload` ended.

https://docs.slack.dev/messaging/working-with-files
"""

from dataclasses import dataclass
from http import HTTPStatus
from urllib.request import ProxyHandler, Request, build_opener

from app.config import is_loopback
from app.delivery.slack_api import NO_RESPONSE_ERRORS, SlackApi, call_slack
from app.errors import SlackRefused, SlackUnreachable

UPLOAD_SECONDS = 30.0


@dataclass(frozen=True)
class File:
    """A file to upload. `alt_text` describes an image."""

    name: str
    content: bytes
    title: str = ""
    alt_text: str = ""


class FileSender:
    """Upload files. Every method raises `SlackError`."""

    def __init__(self, slack: SlackApi):
        self.client = slack.client

    def share(self, file: File, channel: str, comment: str, thread_ts: str = "") -> str:
        """Upload a file, and post it in a channel with a comment in mrkdwn. Return the id of the file."""
        file_id = self._upload_content(file)
        call_slack(
            "files.completeUploadExternal",
            lambda: self.client.files_completeUploadExternal(
                files=[{"id": file_id, "title": file.title or file.name}],
                channel_id=channel,
                initial_comment=comment,
                thread_ts=thread_ts or None,
            ),
        )
        return file_id

    def upload(self, file: File) -> str:
        """Upload a file for a block of a later message. Return the id of the file."""
        file_id = self._upload_content(file)
        call_slack(
            "files.completeUploadExternal",
            lambda: self.client.files_completeUploadExternal(
                files=[{"id": file_id, "title": file.title or file.name}]
            ),
        )
        return file_id

    def _upload_content(self, file: File) -> str:
        response = call_slack(
            "files.getUploadURLExternal",
            lambda: self.client.files_getUploadURLExternal(
                filename=file.name, length=len(file.content), alt_txt=file.alt_text or None
            ),
        )
        _post_content(str(response["upload_url"]), file.content)
        return str(response["file_id"])


def _post_content(url: str, content: bytes) -> None:
    if not (url.startswith("https://") or is_loopback(url)):
        raise SlackRefused("upload", "invalid_url")
    opener = build_opener(ProxyHandler({})) if is_loopback(url) else build_opener()
    headers = {"Content-Type": "application/octet-stream"}
    request = Request(url, data=content, headers=headers, method="POST")  # noqa: S310 - the scheme is checked above
    try:
        with opener.open(request, timeout=UPLOAD_SECONDS) as response:
            status = response.status
    except NO_RESPONSE_ERRORS as error:
        raise SlackUnreachable(f"upload: {type(error).__name__}") from None
    if status != HTTPStatus.OK:
        raise SlackUnreachable(f"upload: status {status}")
