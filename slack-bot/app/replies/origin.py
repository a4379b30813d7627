"""Where a delivery comes from."""

from dataclasses import dataclass

from app.delivery.postman import Address


@dataclass(frozen=True)
class Origin:
    """One delivery of Slack: who, where, and the request id that logs, OMS and error texts carry."""

    request_id: str
    team: str
    user: str
    trigger_id: str
    channel: str = ""
    response_url: str = ""

    def address(self, channel: str = "", view_id: str = "") -> Address:
        """Return where answers to this delivery go."""
        return Address(self.user, channel or self.channel, view_id, self.request_id)
