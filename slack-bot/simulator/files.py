"""Files that the bot uploaded, in memory."""

import mimetypes
import secrets
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

from simulator import ids
from simulator.errors import ArgumentsError, SlackError

MAX_FILES = 100
MAX_FILE_BYTES = 20_000_000
IMAGES = ("image/png", "image/jpeg", "image/gif")
UPLOAD_PREFIX = "/upload"
FILE_PREFIX = "/files"


@dataclass
class UploadedFile:
    """A file. `content` is None until it is uploaded, `is_complete` whether the upload was completed."""

    id: str
    name: str
    length: int
    token: str
    alt_text: str = ""
    title: str = ""
    content: bytes | None = None
    is_complete: bool = False

    @property
    def mimetype(self) -> str:
        """The type that Slack derives from the name."""
        return mimetypes.guess_type(self.name)[0] or "application/octet-stream"

    @property
    def is_image(self) -> bool:
        """Whether the page shows the content."""
        return self.mimetype in IMAGES

    def payload(self, base_url: str) -> dict[str, Any]:
        """Return the file in the format of Slack's API."""
        return {
            "id": self.id,
            "name": self.name,
            "title": self.title or self.name,
            "mimetype": self.mimetype,
            "size": self.length,
            "alt_txt": self.alt_text,
            "url_private": f"{base_url}{FILE_PREFIX}/{self.id}/{self.name}",
        }


class Files:
    """The latest files."""

    def __init__(self) -> None:
        self._by_id: OrderedDict[str, UploadedFile] = OrderedDict()

    def reserve(self, name: str, length: int, alt_text: str) -> UploadedFile:
        """Add a file that is going to be uploaded."""
        file = UploadedFile(ids.generate_id("F"), name, length, secrets.token_urlsafe(18), alt_text)
        self._by_id[file.id] = file
        while len(self._by_id) > MAX_FILES:
            self._by_id.popitem(last=False)
        return file

    def upload(self, token: str, content: bytes) -> bool:
        """Store the content of the file with this upload token. Return False if it does not fit."""
        file = next(
            (uploaded_file for uploaded_file in self._by_id.values() if uploaded_file.token == token), None
        )
        if file is None or file.content is not None or len(content) != file.length:
            return False
        file.content = content
        return True

    def complete(self, file_id: str, title: str) -> UploadedFile:
        """Complete the upload of a file. Raises Slack's error if it has no content."""
        file = self._by_id.get(file_id)
        if file is None or file.content is None:
            raise SlackError("file_not_found")
        file.title = title
        file.is_complete = True
        return file

    def find(self, file_id: str) -> UploadedFile | None:
        """Return a file whose upload was completed, None if there is none."""
        file = self._by_id.get(file_id)
        return file if file and file.is_complete else None

    def check_blocks(self, blocks: list[dict[str, Any]]) -> None:
        """Raise Slack's error if an image block names a file that is no uploaded image."""
        for block in blocks:
            slack_file = block.get("slack_file") if block.get("type") == "image" else None
            if isinstance(slack_file, dict):
                file = self.find(str(slack_file.get("id", "")))
                if file is None or not file.is_image:
                    raise ArgumentsError("invalid slack file [json-pointer:/blocks]", code="invalid_blocks")
