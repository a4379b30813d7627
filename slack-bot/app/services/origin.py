"""Where a delivery comes from."""

from dataclasses import dataclass

from app.delivery.message_sender import Address
from app.oms_client import Person


@dataclass(frozen=True)
class Origin:
    """One delivery of Slack: who, where, and the request id that logs, OMS and error texts carry."""

    request_id: str
    person: Person
    trigger_id: str
    channel: str = ""
    response_url: str = ""

    @property
    def user(self) -> str:
        """The person's Slack user id, for mentions and messages."""
        return self.person.user

    def address(self, channel: str = "", view_id: str = "") -> Address:
        """Return where answers to this delivery go."""
        return Address(self.user, channel or self.channel, view_id, self.request_id)
