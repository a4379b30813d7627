"""The origin of a request from Slack."""

from dataclasses import dataclass

from app.delivery.message_sender import Recipient
from app.oms_client import Person

CHANNEL_ID_PREFIXES = ("C", "G")  # of channels; the ids of direct messages begin with D


@dataclass(frozen=True)
class RequestOrigin:
    """The person, channel and id of a request from Slack. Logs, OMS requests and error texts have the id."""

    request_id: str
    person: Person
    trigger_id: str
    channel: str = ""
    response_url: str = ""

    @property
    def user(self) -> str:
        """The person's Slack user id."""
        return self.person.user

    def get_recipient(self, channel: str = "", view_id: str = "") -> Recipient:
        """Return the address for messages about this request."""
        return Recipient(self.user, channel or self.channel, view_id, self.request_id)


def is_channel(conversation_id: str) -> bool:
    """Return whether the id of a conversation is that of a channel, not of a direct message."""
    return conversation_id.startswith(CHANNEL_ID_PREFIXES)
